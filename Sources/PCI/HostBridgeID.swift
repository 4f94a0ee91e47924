// The name of a host bridge: the root of a PCI hierarchy, `pciDDDD:BB` in /sys/devices.

/// Domain and root bus number of a host bridge.
public struct HostBridgeID: Hashable, Sendable {
    /// The PCI domain (segment).
    public var domain: UInt32
    /// The number of the root bus.
    public var bus: UInt8

    public init(domain: UInt32, bus: UInt8) {
        self.domain = domain
        self.bus = bus
    }

    /// Reads `pciDDDD:BB` with four to eight hexadecimal digits of domain; nil for anything else.
    public init?(_ text: some StringProtocol) {
        // Every component of every path is tried: most are told by their first byte.
        guard text.utf8.first == UInt8(ascii: "p") else { return nil }
        let bytes = Array(text.utf8)
        guard bytes.count >= 10, bytes.starts(with: "pci".utf8),
            let colon = bytes.firstIndex(of: UInt8(ascii: ":")), (7...11).contains(colon), bytes.count == colon + 3,
            let domain = unsignedInteger(bytes[3..<colon], radix: 16),
            let bus = unsignedInteger(bytes[(colon + 1)...], radix: 16)
        else { return nil }
        self.init(domain: UInt32(domain), bus: UInt8(bus))
    }
}

extension HostBridgeID: Comparable, CustomStringConvertible {
    /// By domain, then root bus.
    public static func < (a: HostBridgeID, b: HostBridgeID) -> Bool { (a.domain, a.bus) < (b.domain, b.bus) }

    public var description: String { "pci\(hexadecimal(domain, width: 4)):\(hexadecimal(bus, width: 2))" }
}
