// The kernel's own groups as they stand, for every bus that has them.

import Inventory
import PCI

/// One group for each folder of /sys/kernel/iommu_groups.
public struct KernelBackend: Backend {
    public static let name = BackendName.kernel

    public init() {}

    public func partition(
        of devices: [Device], below hostBridge: HostBridge?, in inventory: Inventory
    ) -> Partition {
        Partition(cells: Self.cells(of: devices))
    }

    /// One cell for each kernel group that these devices are in.
    static func cells(of devices: [Device]) -> [Cell] {
        Dictionary(grouping: devices.filter { $0.kernelGroup != nil }, by: \.kernelGroup)
            .values.map { Cell($0.map(\.address)) }
    }

    public func reason(forLeavingOut device: Device, in inventory: Inventory) -> String {
        if inventory.kernelGroups.isEmpty {
            return "the kernel made no IOMMU groups; \(Advice.switchOnIOMMU)"
        }
        if device.pci?.identification.classCode?.isIOMMU == true {
            return "it is the IOMMU itself, which the kernel puts in no IOMMU group"
        }
        if device.iommu == nil {
            return "the kernel put it in no IOMMU group: no IOMMU translates for it, as the firmware tables say "
                + "(DMAR, IVRS, IORT, VIOT); with virtio-iommu a device gets its group when its first driver probes it"
        }
        return "the kernel put it in no IOMMU group, although \(device.iommu ?? "an IOMMU") is linked to it"
    }
}

/// Remedies that several places give.
public enum Advice {
    /// How an IOMMU is switched on.
    public static let switchOnIOMMU =
        "switch the IOMMU on in the firmware (VT-d, AMD-Vi, SMMU), and on Intel boot with intel_iommu=on"
}
