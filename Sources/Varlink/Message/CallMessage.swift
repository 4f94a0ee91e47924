public import JSON

/// A call as it comes over the wire (UAPI.20 "Call"): the header read, the parameters not yet.
public struct CallMessage: Sendable, Equatable {
    /// How the caller wants to be answered.
    public enum Mode: Sendable, Equatable {
        case single, oneway, more, upgrade
    }

    /// The full name of the method, whatever the client put there.
    public var method: String
    /// Absent, null and `{}` are the same.
    public var parameters: JSONObject
    public var mode: Mode

    public init(method: String, parameters: JSONObject = JSONObject(), mode: Mode = .single) {
        self.method = method
        self.parameters = parameters
        self.mode = mode
    }

    /// Reads a message without its NUL.
    public init(parsing bytes: UnsafeRawBufferPointer, limits: JSONLimits) throws(CloseReason) {
        let header = try MessageHeader(parsing: bytes, limits: limits)
        var method: String?
        var parameters = JSONObject()
        var mode = Mode.single
        for member in header.members {
            switch (member.key, member.value) {
            case ("method", .string(let name)): method = name
            case ("parameters", .object(let object)): parameters = object
            case ("parameters", .null): break
            case ("oneway", .bool(let flag)): try mode.set(.oneway, flag)
            case ("more", .bool(let flag)): try mode.set(.more, flag)
            case ("upgrade", .bool(let flag)): try mode.set(.upgrade, flag)
            case ("method", _), ("parameters", _), ("oneway", _), ("more", _), ("upgrade", _):
                throw .malformed(member: member.key)
            case (let key, _) where key.utf8.contains(UInt8(ascii: ".")): break
            case (let key, _): throw .unknownMember(key.clipped())
            }
        }
        guard let method else { throw .malformed(member: "method") }
        self.init(method: method, parameters: parameters, mode: mode)
    }

    /// Writes the call as a message, with its NUL.
    static func write(
        method: String, parameters: some VarlinkValue, mode: Mode, to writer: inout JSONWriter
    ) {
        writer.object { writer in
            writer.key("method")
            writer.value(method)
            writer.parameters { parameters.write(to: &$0) }
            switch mode {
            case .single: break
            case .oneway: writer.field("oneway", true)
            case .more: writer.field("more", true)
            case .upgrade: writer.field("upgrade", true)
            }
        }
        writer.endMessage()
    }
}

extension CallMessage.Mode {
    fileprivate mutating func set(_ mode: Self, _ flag: Bool) throws(CloseReason) {
        guard flag else { return }
        guard self == .single else { throw .conflictingFlags }
        self = mode
    }
}

/// The members of any message: an object without duplicate members.
struct MessageHeader {
    let members: [JSONObject.Member]

    init(parsing bytes: UnsafeRawBufferPointer, limits: JSONLimits) throws(CloseReason) {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: bytes, limits: limits)
        } catch { throw .syntax(error) }
        guard case .object(let object) = value else { throw .malformed(member: "") }
        if let key = object.duplicateKey { throw .duplicateMember(key.clipped()) }
        members = object.members
    }
}

extension JSONWriter {
    /// Writes the member `parameters`, or nothing when `body` writes an empty object.
    mutating func parameters(_ body: (inout JSONWriter) -> Void) {
        let before = mark
        key("parameters")
        let start = count
        body(&self)
        if count == start + 2 { truncate(to: before) }
    }
}
