public import JSON

/// A reply as it comes over the wire (UAPI.20 "Reply").
public struct ReplyMessage: Sendable, Equatable {
    /// The full name of an error; nil when the call has succeeded.
    public var error: String?
    /// Absent, null and `{}` are the same.
    public var parameters: JSONObject
    /// More replies to the same call will follow.
    public var continues: Bool

    /// Reads a message without its NUL.
    public init(parsing bytes: UnsafeRawBufferPointer, limits: JSONLimits) throws(CloseReason) {
        let header = try MessageHeader(parsing: bytes, limits: limits)
        error = nil
        parameters = JSONObject()
        continues = false
        for member in header.members {
            switch (member.key, member.value) {
            case ("error", .string(let name)): error = name
            case ("parameters", .object(let object)): parameters = object
            case ("continues", .bool(let flag)): continues = flag
            case ("error", .null), ("parameters", .null), ("continues", .null): break
            case ("error", _), ("parameters", _), ("continues", _): throw .malformed(member: member.key)
            case (let key, _) where key.utf8.contains(UInt8(ascii: ".")): break
            case (let key, _): throw .unknownMember(key.clipped())
            }
        }
        if error != nil, continues { throw .unexpectedContinues }
    }

    /// Writes a reply as a message, with its NUL; `parameters` writes one object.
    static func write(continues: Bool, to writer: inout JSONWriter, parameters: (inout JSONWriter) -> Void) {
        writer.object { writer in
            writer.parameters(parameters)
            if continues { writer.field("continues", true) }
        }
        writer.endMessage()
    }

    /// Writes an error as a message, with its NUL; `parameters` writes one object.
    static func write(error: String, to writer: inout JSONWriter, parameters: (inout JSONWriter) -> Void) {
        writer.object { writer in
            writer.field("error", error)
            writer.parameters(parameters)
        }
        writer.endMessage()
    }
}
