// Messages of netlink as bytes: a header, a body of fixed length, attributes (include/uapi/linux/netlink.h). Whatever the
// bytes are, reading them ends and nothing is read beyond them.

/// A message as it came.
struct NetlinkMessage: Equatable, Sendable {
    var type: UInt16
    var flags: UInt16 = 0
    /// Which question it answers.
    var sequence: UInt32
    var body: [UInt8]

    static let error: UInt16 = 2
    static let done: UInt16 = 3
    /// NLM_F_DUMP_INTR: what was dumped changed meanwhile, so that parts may be missing.
    static let interrupted: UInt16 = 0x10

    /// The messages in `bytes`, up to the first that is cut off or says of itself that it is shorter than its header.
    static func all(in bytes: [UInt8]) -> [NetlinkMessage] {
        var found: [NetlinkMessage] = []
        var rest = bytes[...]
        while let length = rest.number(at: 0, UInt32.self), let type = rest.number(at: 4, UInt16.self),
            let flags = rest.number(at: 6, UInt16.self), let sequence = rest.number(at: 8, UInt32.self),
            length >= 16, Int(length) <= rest.count
        {
            let body = Array(rest.dropFirst(16).prefix(Int(length) - 16))
            found.append(NetlinkMessage(type: type, flags: flags, sequence: sequence, body: body))
            rest = rest.dropFirst(aligned(Int(length)))
        }
        return found
    }

    /// The message as it is sent.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.add(UInt32(16 + body.count))
        bytes.add(type)
        bytes.add(flags)
        bytes.add(sequence)
        // The sender's port: the kernel puts it in.
        bytes.add(UInt32(0))
        bytes += body
        bytes += [UInt8](repeating: 0, count: aligned(bytes.count) - bytes.count)
        return bytes
    }

    /// What an NLMSG_ERROR reports; nil in any other message. 0 is an acknowledgement.
    var errno: Int32? {
        guard type == Self.error else { return nil }
        guard let code = body[...].number(at: 0, UInt32.self), code != 0 else { return 0 }
        return Int32(truncatingIfNeeded: 0 &- code)
    }

    /// The same of an NLMSG_DONE, which may end a dump with an error (since Linux 4.15).
    var doneErrno: Int32? {
        guard type == Self.done, let code = body[...].number(at: 0, UInt32.self), code != 0 else { return nil }
        return Int32(truncatingIfNeeded: 0 &- code)
    }

    /// The attributes behind `offset` bytes of the body, without the flags in their types (NLA_F_NESTED,
    /// NLA_F_NET_BYTEORDER); up to the first that is cut off.
    func attributes(after offset: Int) -> [UInt16: [UInt8]] {
        var found: [UInt16: [UInt8]] = [:]
        var rest = body.dropFirst(aligned(offset))
        while let length = rest.number(at: 0, UInt16.self), let type = rest.number(at: 2, UInt16.self), length >= 4,
            Int(length) <= rest.count
        {
            found[type & 0x3fff] = Array(rest.dropFirst(4).prefix(Int(length) - 4))
            rest = rest.dropFirst(aligned(Int(length)))
        }
        return found
    }
}

private func aligned(_ length: Int) -> Int { (length + 3) & ~3 }

extension ArraySlice<UInt8> {
    /// The number at so many bytes from the start, in the machine's order; nil beyond the end.
    func number<Number: FixedWidthInteger & UnsignedInteger>(at offset: Int, _: Number.Type) -> Number? {
        let size = Number.bitWidth / 8
        guard offset >= 0, count - offset >= size else { return nil }
        var number: Number = 0
        for byte in dropFirst(offset).prefix(size) { number = number << 8 | Number(byte) }
        return Number(bigEndian: number)
    }
}

extension [UInt8] {
    /// Adds a number in the machine's order.
    mutating func add<Number: FixedWidthInteger & UnsignedInteger>(_ number: Number) {
        let number = number.bigEndian
        for shift in stride(from: Number.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: number >> Number(shift)))
        }
    }

    /// Adds an attribute of netlink.
    mutating func add(attribute type: UInt16, _ value: [UInt8]) {
        add(UInt16(4 + value.count))
        add(type)
        self += value
        self += [UInt8](repeating: 0, count: aligned(value.count) - value.count)
    }
}
