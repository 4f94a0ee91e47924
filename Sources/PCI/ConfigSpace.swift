// The configuration space of a PCI function as far as it was readable, and its header. PCI Local Bus Specification 3.0
// section 6.1; PCI Express Base Specification section 7.5.

/// A remark on a configuration space that breaks the rules. The device stays in the inventory.
public struct ConfigWarning: Equatable, Sendable {
    /// The byte offset in the configuration space where it was seen.
    public var offset: Int
    /// What is wrong there.
    public var message: String

    public init(offset: Int, message: String) {
        self.offset = offset
        self.message = message
    }
}

/// The bytes of a configuration space, from offset 0: usually 64 (unprivileged reader), 256 or 4096 of them.
public struct ConfigSpace: Sendable {
    /// The bytes that were readable.
    public let bytes: [UInt8]

    /// Takes at most the 4096 bytes that a configuration space has.
    public init(_ bytes: [UInt8]) { self.bytes = bytes.count <= 4096 ? bytes : Array(bytes.prefix(4096)) }

    /// The byte at `offset`; nil where nothing was readable.
    public func byte(_ offset: Int) -> UInt8? { bytes.indices.contains(offset) ? bytes[offset] : nil }

    /// The little-endian 16-bit word at `offset`; nil where it was not readable as a whole.
    public func word(_ offset: Int) -> UInt16? {
        guard let low = byte(offset), let high = byte(offset + 1) else { return nil }
        return UInt16(low) | UInt16(high) << 8
    }

    /// The little-endian 32-bit word at `offset`; nil where it was not readable as a whole.
    public func doubleWord(_ offset: Int) -> UInt32? {
        guard let low = word(offset), let high = word(offset + 2) else { return nil }
        return UInt32(low) | UInt32(high) << 16
    }

    /// Whether every readable byte of the header is ones. A VF has ones in its vendor and device ID alone.
    public var isAllOnes: Bool { !bytes.isEmpty && bytes.prefix(64).allSatisfy { $0 == 0xff } }

    /// The fixed header, or why it is unknown.
    public var header: Reading<Header> {
        if isAllOnes { return .unknown(.notResponding) }
        guard let type = byte(0x0e), bytes.count >= 64 else { return .unknown(.malformed) }
        let layout: Header.Layout
        switch type & 0x7f {
        case 0: layout = .endpoint
        case 1:
            layout = .bridge(primary: byte(0x18) ?? 0, secondary: byte(0x19) ?? 0, subordinate: byte(0x1a) ?? 0)
        case 2:
            layout = .cardBus(primary: byte(0x18) ?? 0, secondary: byte(0x19) ?? 0, subordinate: byte(0x1a) ?? 0)
        default: return .unknown(.malformed)
        }
        return .present(Header(layout: layout, isMultifunction: type & 0x80 != 0))
    }
}

/// What of the fixed header decides about groups.
public struct Header: Equatable, Sendable {
    /// The header type, bits 6:0 of offset 0x0e.
    public enum Layout: Equatable, Sendable {
        /// Type 0: a device with nothing behind it.
        case endpoint
        /// Type 1: a bridge and its bus numbers.
        case bridge(primary: UInt8, secondary: UInt8, subordinate: UInt8)
        /// Type 2: a CardBus bridge and its bus numbers.
        case cardBus(primary: UInt8, secondary: UInt8, subordinate: UInt8)
    }

    /// The layout.
    public var layout: Layout
    /// Bit 7 of the header type: other functions may sit in the same slot.
    public var isMultifunction: Bool

    public init(layout: Layout, isMultifunction: Bool) {
        self.layout = layout
        self.isMultifunction = isMultifunction
    }

    /// Header type 0, 1 or 2, without the multifunction bit.
    public var type: UInt8 {
        switch layout {
        case .endpoint: 0
        case .bridge: 1
        case .cardBus: 2
        }
    }

    /// Whether other devices sit behind it (header type not 0). vfio-pci refuses these (vfio_pci_core.c).
    public var isBridge: Bool { type != 0 }

    /// The bus numbers directly below and the highest below a bridge.
    public var busesBelow: (secondary: UInt8, subordinate: UInt8)? {
        switch layout {
        case .endpoint: nil
        case .bridge(_, let secondary, let subordinate), .cardBus(_, let secondary, let subordinate):
            (secondary, subordinate)
        }
    }
}
