// Devices that isolate without saying so, or say so without isolating, as the kernel knows them: the table
// pci_dev_acs_enabled of drivers/pci/quirks.c, the same in 6.1.192 and 6.12.117. The 100 and 200 series root ports, which
// are there too, are read right by the PCI room (IntelRootPorts.swift).

import Inventory
import PCI

extension AccessControlQuestion {
    /// The verdict of the first entry that has one; nil where the general rule decides.
    var quirk: AccessControlVerdict? {
        guard let vendor = identification.vendorID, let device = identification.deviceID else { return nil }
        let kind = kind.value ?? nil
        switch vendor {
        case 0x1002, 0x1022:
            // AMD's south bridge, whose functions do not talk to each other where AMD's IOMMU is.
            guard multifunction.value == true, isOnRootBus, hasIVRS else { return nil }
            return Self.amdSouthBridge.contains(UInt32(vendor) << 16 | UInt32(device)) ? .isolating(.quirk) : nil
        case 0x8086:
            if Self.vouchedIntel.contains(device) || kind == .rootComplexEndpoint { return .isolating(.quirk) }
            return chipsetRootPort
        case 0x1d17:
            if Self.vouched.contains(UInt32(vendor) << 16 | UInt32(device)) { return .isolating(.quirk) }
            guard kind == .rootPort || kind == .downstreamPort else { return nil }
            let isolates =
                switch device {
                case 0x0710...0x071e, 0x0721, 0x0723...0x0752: true
                default: false
                }
            return isolates ? .isolating(.quirk) : .notIsolating(.quirk)
        case 0x8088: return Self.wangxun.contains(device) ? .isolating(.quirk) : .notIsolating(.quirk)
        case 0x177d where kind == .rootPort:
            switch device {
            case 0xa000...0xa7ff, 0xaf84, 0xb884: return .isolating(.quirk)
            default: return nil
            }
        case 0x1c36 where device == 0x0031: return kind == .rootPort ? .isolating(.quirk) : nil
        case 0x1def where (0xe005...0xe00c).contains(device): return .isolating(.quirk)
        case 0x0014 where Self.loongson.contains(device): return .isolating(.quirk)
        case 0x1957 where Self.nxp.contains(device): return .isolating(.quirk)
        default: return Self.vouched.contains(UInt32(vendor) << 16 | UInt32(device)) ? .isolating(.quirk) : nil
        }
    }

    /// Chipset root ports without ACS isolate once the kernel has told them to.
    private var chipsetRootPort: AccessControlVerdict? {
        switch invalidBusNumberCheck {
        case .absent: nil
        case .present(let isOn):
            isOn || assumesSwitchedOn ? .isolating(.quirk) : .notIsolating(.invalidBusNumberCheckOff)
        case .unknown(let reason): .unknown(reason)
        }
    }

    private static let amdSouthBridge: Set<UInt32> = [
        0x1002_4385, 0x1002_439c, 0x1002_4383, 0x1002_439d, 0x1002_4384, 0x1002_4399, 0x1022_780f, 0x1022_7809,
    ]

    /// Functions of one device that do not talk to each other, and root ports that isolate: vendor and device ID.
    private static let vouched: Set<UInt32> = [
        0x1924_0903, 0x1924_0923, 0x1924_0a03, 0x19a2_0710, 0x10df_0720, 0x177d_a026, 0x177d_a059, 0x177d_a060,
        0x14e4_16d7, 0x14e4_1750, 0x14e4_1751, 0x14e4_1752, 0x14e4_1760, 0x14e4_1761, 0x14e4_1762, 0x14e4_1763,
        0x1d17_3038, 0x1d17_3104, 0x1d17_9083, 0x17cb_0400, 0x17cb_0401, 0x17cb_0115, 0x17cb_0111, 0x17cb_0120,
        0x1dbf_0401, 0x10e8_e004, 0x14e4_d714,
    ]

    /// Intel's, by device ID.
    private static let vouchedIntel: Set<UInt16> = [
        0x10c6, 0x10db, 0x10dd, 0x10e1, 0x10f1, 0x10f7, 0x10f8, 0x10f9, 0x10fa, 0x10fb, 0x10fc, 0x1507, 0x1514, 0x151c,
        0x1529, 0x152a, 0x154d, 0x154f, 0x1551, 0x1558, 0x1509, 0x150e, 0x150f, 0x1510, 0x1511, 0x1516, 0x1527, 0x10c9,
        0x10e6, 0x10e7, 0x10e8, 0x150a, 0x150d, 0x1518, 0x1526, 0x10a7, 0x10a9, 0x10d6, 0x1521, 0x1522, 0x1523, 0x1524,
        0x105e, 0x105f, 0x1060, 0x10d9, 0x15b7, 0x15b8,
    ]

    private static let wangxun: Set<UInt16> = [
        0x0100, 0x0101, 0x0102, 0x0103, 0x0104, 0x0105, 0x0106, 0x0107, 0x0108, 0x0109, 0x010a, 0x010b, 0x010c, 0x010d,
        0x010e, 0x010f, 0x1001, 0x2001, 0x5010, 0x5025, 0x5040, 0x5110, 0x5125, 0x5140,
    ]

    private static let loongson: Set<UInt16> = [
        0x3c09, 0x3c19, 0x3c29, 0x7a09, 0x7a19, 0x7a29, 0x7a39, 0x7a49, 0x7a59, 0x7a69,
    ]

    private static let nxp: Set<UInt16> = [
        0x8d80, 0x8d81, 0x8d82, 0x8d83, 0x8d88, 0x8d89, 0x8d8a, 0x8d8b, 0x8d90, 0x8d91, 0x8d92, 0x8d93, 0x8d98, 0x8d99,
        0x8d9a, 0x8d9b, 0x8da0, 0x8da1, 0x8da8, 0x8da9, 0x8db0, 0x8db1, 0x8db8, 0x8db9,
    ]
}
