// Functions of the chipset: what a machine runs on, and no virtual machine has a use for. A guest that has an ISA
// bridge or an SMBus controller reaches the flash that the firmware is in, fans, voltages and memory modules; without
// the drivers of these the host loses them. Whoever asks for one most likely means another device; as part of a group
// it comes along.

import Grouping
import Host
import Inventory
import PCI
import Registry

enum ChipsetFunctions {
    /// What a function is of the chipset, in words; nil for what is none.
    ///
    /// Most are on a root bus. The same classes elsewhere are cards: FPGAs call themselves memory controllers or ISA
    /// bridges. What has a bus behind it is left to the kernel, which lets no guest have it.
    static func name(of device: Device) -> String? {
        guard let function = device.pci, !function.isBridge, function.virtualFunction == nil,
            let code = function.identification.classCode
        else { return nil }
        let vendor = function.identification.vendorID
        let isRoot = function.parent == nil
        switch (code.base, code.sub) {
        case (0x06, 0x00) where isRoot:
            return vendor == 0x1022 && isDataFabric(device.address.pci) ? "a data fabric" : "a host bridge"
        case (0x06, 0x01) where isRoot: return "an ISA bridge"
        case (0x0c, 0x05) where isRoot: return "an SMBus controller"
        case (0x05, 0x00) where isRoot && isChipsetMaker(vendor), (0x05, 0x80) where isRoot && isChipsetMaker(vendor):
            return "a memory controller of the chipset"
        case (0x0c, 0x80) where isRoot && isFlashController(device.address.pci, vendor):
            return "the controller of the firmware's flash"
        case (0x08, 0x06): return "an IOMMU"
        // AMD's and Hygon's sit behind internal ports.
        case (0x10, 0x80) where vendor == 0x1022 || vendor == 0x1d94: return "a platform security processor"
        default: return nil
        }
    }

    /// Northbridges of AMD (arch/x86/kernel/amd_nb.c): functions 0 to 7 of devices 18 to 1f on bus 0.
    private static func isDataFabric(_ address: PCIAddress?) -> Bool {
        guard let address else { return false }
        return address.bus == 0 && address.device >= 0x18
    }

    /// Intel's, since the 100 series: function 5 of the slot that the ISA bridge is in
    /// (drivers/mtd/spi-nor/controllers/intel-spi-pci.c).
    private static func isFlashController(_ address: PCIAddress?, _ vendor: UInt16?) -> Bool {
        guard let address else { return false }
        return vendor == 0x8086 && address.bus == 0 && address.device == 0x1f && address.function == 5
    }

    /// Intel, AMD, Hygon, VIA and Zhaoxin. Others give these classes to devices that emulators put on the root bus.
    private static func isChipsetMaker(_ vendor: UInt16?) -> Bool {
        switch vendor {
        case 0x8086, 0x1022, 0x1d94, 0x1106, 0x1d17: true
        default: false
        }
    }

    /// The chipset's functions among a group's members, as uses that speak against taking what was asked for, or are
    /// merely told. One that a vfio driver has is not taken from the host.
    ///
    /// - Parameters:
    ///   - record: the group.
    ///   - selectors: what was asked for.
    /// - Returns: a use a function: `.chipset` where it was asked for by its address, or the group has nothing else
    ///   that was; `.chipsetAlong` where another member was.
    static func uses(_ record: GroupRecord, askedBy selectors: [GroupSelector]) -> [DeviceUse] {
        let functions = record.members.filter { $0.state != .held }.compactMap { member in
            name(of: member.device).map { (address: member.device.address, name: $0) }
        }
        guard !functions.isEmpty else { return [] }
        let asked = asked(record, by: selectors)
        let isMeant = asked.contains { device in name(of: device) == nil }
        return functions.map { address, name in
            let isNamed = selectors.contains(.device(address))
            return DeviceUse(address, isMeant && !isNamed ? .chipsetAlong(what: name) : .chipset(what: name))
        }
    }

    /// The members that were asked for, but bridges: all where the group was asked for, or a bridge of it.
    private static func asked(_ record: GroupRecord, by selectors: [GroupSelector]) -> [Device] {
        let devices = record.members.map(\.device).filter { !$0.isBridge }
        let named = devices.filter { device in
            selectors.contains { selector in
                switch selector {
                case .group: false
                case .device(let address): address == device.address
                case .endpoint(let pattern, _): pattern.matches(device)
                }
            }
        }
        let isWhole = selectors.contains { selector in
            switch selector {
            case .group(let text): text == record.id.text
            case .device(let address): record.members.contains { $0.device.isBridge && $0.device.address == address }
            case .endpoint: false
            }
        }
        return isWhole || named.isEmpty ? devices : named
    }
}
