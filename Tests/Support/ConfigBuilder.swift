// Configuration spaces for tests, built byte by byte.

/// Writes the bytes of a configuration space.
public struct ConfigBuilder {
    public var bytes: [UInt8]

    /// A type 0 header of a PCI Express function with an empty capability list.
    public init(size: Int = 4096, headerType: UInt8 = 0) {
        bytes = [UInt8](repeating: 0, count: size)
        if size > 0x0e { bytes[0x0e] = headerType }
    }

    public mutating func word(_ offset: Int, _ value: UInt16) {
        bytes[offset] = UInt8(truncatingIfNeeded: value)
        bytes[offset + 1] = UInt8(truncatingIfNeeded: value >> 8)
    }

    public mutating func doubleWord(_ offset: Int, _ value: UInt32) {
        word(offset, UInt16(truncatingIfNeeded: value))
        word(offset + 2, UInt16(truncatingIfNeeded: value >> 16))
    }

    /// Sets the capability bit and the pointer to the first capability.
    public mutating func capabilityList(at offset: UInt8) {
        bytes[0x06] |= 0x10
        bytes[bytes[0x0e] & 0x7f == 2 ? 0x14 : 0x34] = offset
    }

    /// A PCI Express capability of version 2 with this Device/Port Type.
    public mutating func express(at offset: Int, type: UInt8, next: UInt8 = 0, ariForwarding: Bool = false) {
        bytes[offset] = 0x10
        bytes[offset + 1] = next
        word(offset + 2, UInt16(type) << 4 | 2)
        if ariForwarding {
            doubleWord(offset + 0x24, 0x20)
            word(offset + 0x28, 0x20)
        }
    }

    /// The header of an extended capability.
    public mutating func extended(_ id: UInt16, at offset: Int, next: Int = 0) {
        doubleWord(offset, UInt32(id) | 1 << 16 | UInt32(next) << 20)
    }

    /// An ACS capability; a wide one has double words for registers, as some root ports of Intel's have it.
    public mutating func acs(at offset: Int, capability: UInt16, control: UInt16, next: Int = 0, isWide: Bool = false) {
        extended(0x0d, at: offset, next: next)
        word(offset + 4, capability)
        word(offset + (isWide ? 8 : 6), control)
    }
}

extension ConfigBuilder {
    /// A function as far as its groups depend on it: of this Device/Port Type, nil for a conventional one; a bridge is one
    /// with buses (primary, secondary, subordinate).
    public init(
        function type: UInt8?, acs: (capability: UInt16, control: UInt16)? = nil, isWide: Bool = false,
        buses: (UInt8, UInt8, UInt8)? = nil, multifunction: Bool = false, ari: Bool = false
    ) {
        self.init(size: type == nil ? 256 : 4096, headerType: (buses == nil ? 0 : 1) | (multifunction ? 0x80 : 0))
        if let buses { (bytes[0x18], bytes[0x19], bytes[0x1a]) = buses }
        guard let type else { return }
        capabilityList(at: 0x40)
        express(at: 0x40, type: type, ariForwarding: ari)
        if let acs { self.acs(at: 0x100, capability: acs.capability, control: acs.control, isWide: isWide) }
    }
}
