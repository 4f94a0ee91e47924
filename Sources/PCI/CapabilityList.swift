// Walking the two capability lists of a configuration space. Both come from hardware and may loop or point anywhere:
// the walk ends, says where, and keeps what it had. PCI Express Base Specification sections 7.5.1.1.11 and 7.6.3.

/// One entry of a capability list.
public struct CapabilityHeader: Equatable, Sendable {
    /// The capability ID: 8 bits in the standard list, 16 in the extended one.
    public var id: UInt16
    /// Where it starts, in bytes.
    public var offset: Int

    public init(id: UInt16, offset: Int) {
        self.id = id
        self.offset = offset
    }
}

/// The outcome of walking a list: what was found, and whether the end was reached.
public struct CapabilityList: Equatable, Sendable {
    /// The entries, in list order.
    public var entries: [CapabilityHeader] = []
    /// Why the walk ended early; nil when it saw the whole list.
    public var incomplete: UnknownReason?
    /// What broke the rules on the way.
    public var warnings: [ConfigWarning] = []

    public init() {}

    /// The first entry with this ID: absent only where the whole list was seen.
    public func first(_ id: UInt16) -> Reading<CapabilityHeader> {
        if let entry = entries.first(where: { $0.id == id }) { return .present(entry) }
        if let incomplete { return .unknown(incomplete) }
        return .absent
    }
}

extension ConfigSpace {
    /// The standard list, from the pointer at 0x34 (0x14 in a CardBus bridge) inside the first 256 bytes. The limits
    /// are the kernel's (PCI_FIND_CAP_TTL, drivers/pci/pci.c).
    public var standardCapabilities: CapabilityList {
        var list = CapabilityList()
        if isAllOnes { list.incomplete = .notResponding }
        guard list.incomplete == nil else { return list }
        guard let status = word(0x06), let headerType = byte(0x0e),
            let pointer = byte(headerType & 0x7f == 2 ? 0x14 : 0x34)
        else {
            list.incomplete = .malformed
            return list
        }
        guard status & 0x10 != 0 else { return list }
        var offset = Int(pointer & 0xfc)
        var visited = Set<Int>()
        while offset >= 0x40 {
            guard let id = byte(offset), let next = byte(offset + 1) else {
                list.incomplete = bytes.count == 64 ? .headerOnly : .malformed
                if bytes.count != 64 {
                    list.warn(offset, "capability lies beyond the \(bytes.count) bytes that were readable")
                }
                return list
            }
            guard visited.insert(offset).inserted else { return list.broken(offset, "capability list loops") }
            if id == 0xff { return list.broken(offset, "capability list runs into unreadable bytes (ID 0xff)") }
            guard visited.count <= 48 else { return list.broken(offset, "more than 48 capabilities") }
            list.entries.append(CapabilityHeader(id: UInt16(id), offset: offset))
            offset = Int(next & 0xfc)
        }
        if offset != 0 { list.warn(offset, "capability pointer 0x\(hexadecimal(UInt(offset))) points into the header") }
        return list
    }

    /// The extended list, from 0x100. A null first entry that points on is legal.
    public var extendedCapabilities: CapabilityList {
        var list = CapabilityList()
        guard bytes.count > 0x100 else {
            list.incomplete = isAllOnes ? .notResponding : bytes.count <= 64 ? .headerOnly : .noExtendedConfig
            return list
        }
        var offset = 0x100
        var visited = Set<Int>()
        while true {
            guard let header = doubleWord(offset) else {
                return list.broken(
                    offset, "extended capability lies beyond the \(bytes.count) bytes that were readable")
            }
            guard visited.insert(offset).inserted else { return list.broken(offset, "extended capability list loops") }
            guard visited.count <= 480 else { return list.broken(offset, "more than 480 extended capabilities") }
            if header == 0 { return list }
            if header == 0xffff_ffff {
                return list.broken(offset, "extended capability list runs into unreadable bytes")
            }
            let id = UInt16(truncatingIfNeeded: header)
            if id != 0 { list.entries.append(CapabilityHeader(id: id, offset: offset)) }
            let next = Int(header >> 20) & ~3
            if next == 0 { return list }
            guard next >= 0x100 else {
                return list.broken(
                    offset, "extended capability pointer 0x\(hexadecimal(UInt(next))) points below 0x100")
            }
            offset = next
        }
    }
}

extension CapabilityList {
    fileprivate mutating func warn(_ offset: Int, _ message: String) {
        warnings.append(ConfigWarning(offset: offset, message: message))
    }

    fileprivate mutating func broken(_ offset: Int, _ message: String) -> CapabilityList {
        warn(offset, message)
        incomplete = .malformed
        return self
    }
}
