// The class code of a PCI function and the names people know it by.

/// Base class, sub-class and programming interface, 24 bits (PCI Code and ID Assignment Specification).
public struct ClassCode: Hashable, Sendable {
    /// The 24 bits as sysfs `class` shows them: `0xBBSSPP`.
    public var rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue & 0xff_ffff }

    /// The upper 8 bits: what sort of device it is.
    public var base: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 16) }
    /// The middle 8 bits: which one of that sort.
    public var sub: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 8) }

    /// A PCI-to-PCI, CardBus or semi-transparent bridge: other devices may sit behind it. Host and ISA bridges are
    /// endpoints to the kernel (header type 0).
    public var isBridgeWithBus: Bool { base == 0x06 && (sub == 0x04 || sub == 0x07 || sub == 0x09) }

    /// A short English name, for people who have no pci.ids at hand.
    public var name: String { Self.names[UInt16(base) << 8 | UInt16(sub)] ?? Self.baseNames[base] ?? "device" }
}

extension ClassCode {
    private static let baseNames: [UInt8: String] = [
        0x00: "unclassified device", 0x01: "storage controller", 0x02: "network controller",
        0x03: "display controller", 0x04: "multimedia controller", 0x05: "memory controller", 0x06: "bridge",
        0x07: "communication controller", 0x08: "system peripheral", 0x09: "input device", 0x0a: "docking station",
        0x0b: "processor", 0x0c: "serial bus controller", 0x0d: "wireless controller", 0x0e: "intelligent controller",
        0x0f: "satellite controller", 0x10: "encryption controller", 0x11: "signal processing controller",
        0x12: "processing accelerator", 0x13: "non-essential instrumentation", 0x40: "coprocessor",
    ]

    private static let names: [UInt16: String] = [
        0x0100: "SCSI controller", 0x0101: "IDE controller", 0x0104: "RAID controller", 0x0106: "SATA controller",
        0x0107: "SAS controller", 0x0108: "NVMe controller", 0x0200: "Ethernet controller",
        0x0207: "InfiniBand controller", 0x0280: "network controller", 0x0300: "VGA controller",
        0x0302: "3D controller", 0x0401: "audio controller", 0x0403: "audio device", 0x0500: "RAM",
        0x0580: "memory controller", 0x0600: "host bridge", 0x0601: "ISA bridge", 0x0604: "PCI bridge",
        0x0607: "CardBus bridge", 0x0609: "PCI bridge", 0x0680: "bridge", 0x0700: "serial controller",
        0x0780: "communication controller", 0x0806: "IOMMU", 0x0880: "system peripheral", 0x0c03: "USB controller",
        0x0c04: "Fibre Channel controller", 0x0c05: "SMBus controller", 0x0d11: "Bluetooth controller",
        0x0d80: "wireless controller",
    ]
}
