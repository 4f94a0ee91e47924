/// The reader of JSON texts: RFC 8259 to the letter, less what Varlink implementations cannot carry: `\u0000`,
/// Unicode noncharacters, surrogates without their half, a byte order mark. Bounded in depth and in number of values.
struct JSONParser {
    // No access is checked in a release build: every one stands behind `next` or a comparison with `count`.
    let bytes: UnsafeBufferPointer<UInt8>
    let limits: JSONLimits
    var offset = 0
    private var values = 0

    init(_ bytes: UnsafeRawBufferPointer, _ limits: JSONLimits) {
        self.bytes = bytes.assumingMemoryBound(to: UInt8.self)
        self.limits = limits
    }

    func error(_ reason: String) -> JSONSyntaxError { JSONSyntaxError(offset: offset, reason: reason) }

    /// The next byte; 0 at the end, which no construct accepts.
    var next: UInt8 { offset < bytes.count ? bytes[offset] : 0 }

    mutating func skipWhiteSpace() {
        while offset < bytes.count, case let c = bytes[offset], c == 0x20 || c == 0x0A || c == 0x0D || c == 0x09 {
            offset += 1
        }
    }

    /// The whole text as one value.
    mutating func document() throws(JSONSyntaxError) -> JSONValue {
        let value = try value(depth: 0)
        skipWhiteSpace()
        guard offset == bytes.count else { throw error("text after the value") }
        return value
    }

    private mutating func value(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        values += 1
        guard values <= limits.values else { throw error("more than \(limits.values) values") }
        skipWhiteSpace()
        switch next {
        case UInt8(ascii: "{"): return .object(try object(depth: depth + 1))
        case UInt8(ascii: "["): return .array(try array(depth: depth + 1))
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return .bool(try literal("true", true))
        case UInt8(ascii: "f"): return .bool(try literal("false", false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        default: return try number()
        }
    }

    private mutating func object(depth: Int) throws(JSONSyntaxError) -> JSONObject {
        try enter(depth)
        var members: [JSONObject.Member] = []
        skipWhiteSpace()
        guard next != UInt8(ascii: "}") else {
            offset += 1
            return JSONObject(members: members)
        }
        members.reserveCapacity(4)
        while true {
            skipWhiteSpace()
            guard next == UInt8(ascii: "\"") else { throw error("expected a key") }
            let key = try string()
            skipWhiteSpace()
            guard next == UInt8(ascii: ":") else { throw error("expected ':'") }
            offset += 1
            members.append(JSONObject.Member(key: key, value: try value(depth: depth)))
            if try isLast(closing: UInt8(ascii: "}")) { return JSONObject(members: members) }
        }
    }

    private mutating func array(depth: Int) throws(JSONSyntaxError) -> [JSONValue] {
        try enter(depth)
        var elements: [JSONValue] = []
        skipWhiteSpace()
        guard next != UInt8(ascii: "]") else {
            offset += 1
            return elements
        }
        while true {
            elements.append(try value(depth: depth))
            if try isLast(closing: UInt8(ascii: "]")) { return elements }
        }
    }

    private mutating func enter(_ depth: Int) throws(JSONSyntaxError) {
        guard depth <= limits.depth else { throw error("nested deeper than \(limits.depth)") }
        offset += 1
    }

    /// Takes the comma after a member or element, or the bracket that closes the whole.
    private mutating func isLast(closing bracket: UInt8) throws(JSONSyntaxError) -> Bool {
        skipWhiteSpace()
        guard next == bracket || next == UInt8(ascii: ",") else {
            throw error("expected ',' or '\(Character(Unicode.Scalar(bracket)))'")
        }
        defer { offset += 1 }
        return next == bracket
    }

    private mutating func literal<Value>(_ text: StaticString, _ value: Value) throws(JSONSyntaxError) -> Value {
        let count = text.utf8CodeUnitCount
        guard bytes.count - offset >= count else { throw error("expected '\(text)'") }
        for index in 0..<count where bytes[offset + index] != text.utf8Start[index] {
            throw error("expected '\(text)'")
        }
        offset += count
        return value
    }
}

extension JSONValue {
    /// Reads a text that must be one value and nothing else.
    public init(
        parsing bytes: UnsafeRawBufferPointer, limits: JSONLimits = JSONLimits()
    ) throws(JSONSyntaxError) {
        var parser = JSONParser(bytes, limits)
        self = try parser.document()
    }

    /// Reads a text that must be one value and nothing else.
    public init(parsing text: String, limits: JSONLimits = JSONLimits()) throws(JSONSyntaxError) {
        let bytes = Array(text.utf8)
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(JSONSyntaxError) in try JSONValue(parsing: bytes, limits: limits) }
        }
        self = try result.get()
    }
}
