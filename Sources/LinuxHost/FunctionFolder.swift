// What the folder of a PCI function holds, from one listing: which attributes to read, and which functions and host
// bridges lie below. Asking for a file that is not there costs a system call; listing tells them all.

import Files
import Glibc
import Inventory
import PCI

/// The entries of a PCI function's folder (or of a host bridge's) that the scan cares for.
struct FunctionFolder {
    /// Attributes and links that may be there.
    struct Attributes: OptionSet {
        let rawValue: UInt32
        static let vendor = Attributes(rawValue: 1 << 0)
        static let device = Attributes(rawValue: 1 << 1)
        static let subsystemVendor = Attributes(rawValue: 1 << 2)
        static let subsystemDevice = Attributes(rawValue: 1 << 3)
        static let revision = Attributes(rawValue: 1 << 4)
        static let classCode = Attributes(rawValue: 1 << 5)
        static let config = Attributes(rawValue: 1 << 6)
        static let numaNode = Attributes(rawValue: 1 << 7)
        static let driver = Attributes(rawValue: 1 << 8)
        static let driverOverride = Attributes(rawValue: 1 << 9)
        static let iommu = Attributes(rawValue: 1 << 10)
        static let iommuGroup = Attributes(rawValue: 1 << 11)
        static let physicalFunction = Attributes(rawValue: 1 << 12)

        fileprivate static let names: [(StaticString, Attributes)] = [
            ("vendor", .vendor), ("device", .device), ("subsystem_vendor", .subsystemVendor),
            ("subsystem_device", .subsystemDevice), ("revision", .revision), ("class", .classCode),
            ("config", .config), ("numa_node", .numaNode), ("driver", .driver), ("driver_override", .driverOverride),
            ("iommu", .iommu), ("iommu_group", .iommuGroup), ("physfn", .physicalFunction),
        ]
    }

    /// What is there.
    var attributes: Attributes = []
    /// The functions whose folders lie inside, ascending.
    var functions: [PCIAddress] = []
    /// The host bridges whose folders lie inside (Intel VMD), ascending.
    var hostBridges: [HostBridgeID] = []
    /// The numbers N of the `virtfnN` links, ascending.
    var virtualFunctions: [Int] = []

    init(_ folder: borrowing Directory) throws(SystemError) {
        var contents = (attributes: Attributes(), functions: [PCIAddress](), bridges: [HostBridgeID](), vfs: [Int]())
        try folder.forEachEntry { name, type in
            if name.contains(UInt8(ascii: ":")) {
                guard type == DT_DIR || type == DT_UNKNOWN else { return }
                if let address = PCIAddress(utf8: name) {
                    contents.functions.append(address)
                } else if let bridge = HostBridgeID(String(decoding: name, as: UTF8.self)) {
                    contents.bridges.append(bridge)
                }
            } else if name.count > 6, name.starts(with: "virtfn".utf8) {
                guard let number = unsignedInteger(name[6...], radix: 10), number < 1 << 16 else { return }
                contents.vfs.append(Int(number))
            } else {
                for (known, attribute) in Attributes.names where known.utf8CodeUnitCount == name.count {
                    guard known.withUTF8Buffer({ $0.elementsEqual(name) }) else { continue }
                    // `iommu` is a link in a device and a folder in the function that is an IOMMU itself.
                    if type != DT_DIR { contents.attributes.insert(attribute) }
                    return
                }
            }
        }
        attributes = contents.attributes
        functions = contents.functions.sorted()
        hostBridges = contents.bridges.sorted()
        virtualFunctions = contents.vfs.sorted()
    }
}
