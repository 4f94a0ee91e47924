// Reading what the registers of IOMMUs say: /sys/class/iommu/NAME/intel-iommu/cap and amd-iommu/features
// (Documentation/ABI/testing/sysfs-class-iommu-intel-iommu and -amd-iommu). Others show no registers.

import Files
import Inventory
import PCI

extension SysfsScan {
    mutating func scanTranslationUnits(_ sys: borrowing Directory) {
        guard let folder = try? Directory("class/iommu", below: sys) else { return }
        for name in (try? folder.names()) ?? [] {
            if let registers = try? Directory(name + "/intel-iommu", below: folder),
                let capability = register("cap", registers),
                let width = TranslationUnit.intelAddressWidth(capability: capability)
            {
                add(name, width, "intel-iommu/cap")
            } else if let registers = try? Directory(name + "/amd-iommu", below: folder),
                let features = register("features", registers),
                let width = TranslationUnit.amdAddressWidth(extendedFeatures: features)
            {
                add(name, width, "amd-iommu/features")
            }
        }
    }

    private mutating func add(_ name: String, _ width: Int, _ source: String) {
        translationUnits.append(TranslationUnit(name: name, addressWidth: width, source: source))
    }

    /// The first number of an attribute: AMD's features are two registers since 6.5, `EFR:EFR2`.
    private func register(_ name: String, _ folder: borrowing Directory) -> UInt64? {
        guard let text = try? folder.text(name) else { return nil }
        return unsignedInteger(text.utf8.prefix { $0 != UInt8(ascii: ":") }, radix: 16)
    }
}
