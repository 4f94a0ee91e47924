import Glibc

/// Writes JSON texts into one growing buffer of its own, without white space and without building a tree.
///
/// The caller keeps to JSON's grammar (a key before each member, one value after it); the writer puts the commas.
public struct JSONWriter: ~Copyable, @unchecked Sendable {
    // @unchecked: the pointer is this value's own, and the value cannot be copied. A pointer, not an Array: writing
    // byte by byte to an Array was measured at 2.5 times the cost.
    private var base: UnsafeMutablePointer<UInt8>?
    private(set) var capacity = 0
    /// The number of bytes written.
    public private(set) var count = 0
    private var needsComma = false

    /// An empty writer; it takes memory when it is first written to.
    public init() {}

    deinit { free(base) }

    /// What was written.
    public var bytes: [UInt8] { Array(buffer) }

    /// What was written, in place: valid until the next mutation.
    public var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// A point in the text to go back to.
    public struct Mark: Sendable {
        fileprivate let count: Int
        fileprivate let needsComma: Bool
    }

    /// The point that the text has reached.
    public var mark: Mark { Mark(count: count, needsComma: needsComma) }

    /// Forgets what was written since `mark`.
    public mutating func truncate(to mark: Mark) {
        count = min(mark.count, count)
        needsComma = mark.needsComma
    }

    /// Drops the first `count` bytes, which have gone where they should; marks made before lose their meaning.
    public mutating func removeFirst(_ count: Int) {
        let gone = min(max(count, 0), self.count)
        let rest = self.count - gone
        if let base, gone > 0, rest > 0 { base.update(from: base + gone, count: rest) }
        self.count = rest
    }

    /// Empties the writer, and gives its memory back when it is more than `retained` bytes.
    public mutating func removeAll(retained: Int = .max) {
        count = 0
        needsComma = false
        if capacity > retained {
            free(base)
            base = nil
            capacity = 0
        }
    }

    /// Ends a line: the next value stands on its own.
    public mutating func endLine() {
        byte(0x0A)
        needsComma = false
    }

    /// Ends a Varlink message: the next value stands on its own.
    public mutating func endMessage() {
        byte(0)
        needsComma = false
    }
}

extension JSONWriter {
    @inlinable
    public mutating func object<Failure: Error>(
        _ members: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        open(UInt8(ascii: "{"))
        try members(&self)
        close(UInt8(ascii: "}"))
    }

    @inlinable
    public mutating func array<Failure: Error>(
        _ elements: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        open(UInt8(ascii: "["))
        try elements(&self)
        close(UInt8(ascii: "]"))
    }

    /// A key that needs no escaping.
    public mutating func key(_ name: StaticString) {
        separate()
        reserve(name.utf8CodeUnitCount + 3)
        append(UInt8(ascii: "\""))
        append(name.utf8Start, name.utf8CodeUnitCount)
        append(UInt8(ascii: "\""))
        append(UInt8(ascii: ":"))
        needsComma = false
    }

    @_disfavoredOverload  // A literal is a StaticString, which needs no look for what to escape.
    public mutating func key(_ name: String) {
        value(name)
        byte(UInt8(ascii: ":"))
        needsComma = false
    }

    public mutating func null() { token("null") }

    public mutating func value(_ value: Bool) { if value { token("true") } else { token("false") } }

    public mutating func value(_ value: Int64) {
        separate()
        if value < 0 { byte(UInt8(ascii: "-")) }
        digits(value.magnitude)
    }

    public mutating func value(_ value: UInt64) {
        separate()
        digits(value)
    }

    /// A number that is not finite has no form in JSON, and is written as null.
    public mutating func value(_ value: Double) {
        guard value.isFinite else { return null() }
        separate()
        raw(value.description)
    }

    /// Splices in bytes that are one JSON value already.
    public mutating func encoded(_ value: [UInt8]) {
        separate()
        value.withUnsafeBufferPointer { raw($0) }
    }

    /// A number as its digits.
    public mutating func number(literal text: String) {
        separate()
        raw(text)
    }

    public mutating func value(_ text: String) {
        separate()
        byte(UInt8(ascii: "\""))
        var text = text
        text.withUTF8 { text in
            var written = 0
            for index in 0..<text.count where Self.needsEscape(text[index]) {
                raw(UnsafeBufferPointer(rebasing: text[written..<index]))
                escape(text[index])
                written = index + 1
            }
            raw(UnsafeBufferPointer(rebasing: text[written...]))
        }
        byte(UInt8(ascii: "\""))
    }

    public mutating func value(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .bool(let bool): self.value(bool)
        case .int(let int): self.value(int)
        case .unsigned(let int): self.value(int)
        case .double(let double): self.value(double)
        case .literal(let text): number(literal: text)
        case .string(let string): self.value(string)
        case .array(let elements): array { writer in for element in elements { writer.value(element) } }
        case .object(let object): self.value(object)
        }
    }

    public mutating func value(_ object: JSONObject) {
        self.object { writer in
            for member in object.members {
                writer.key(member.key)
                writer.value(member.value)
            }
        }
    }
}

extension JSONWriter {
    private static func needsEscape(_ c: UInt8) -> Bool {
        c < 0x20 || c == UInt8(ascii: "\"") || c == UInt8(ascii: "\\") || c == 0x7F
    }

    private mutating func escape(_ c: UInt8) {
        switch c {
        case UInt8(ascii: "\""): raw("\\\"")
        case UInt8(ascii: "\\"): raw("\\\\")
        case 0x0A: raw("\\n")
        case 0x0D: raw("\\r")
        case 0x09: raw("\\t")
        default:
            // 0x7F is among them: RFC 8259 allows it raw, systemd's reader drops the connection.
            let hexadecimal: StaticString = "0123456789abcdef"
            raw("\\u00")
            byte(hexadecimal.utf8Start[Int(c >> 4)])
            byte(hexadecimal.utf8Start[Int(c & 15)])
        }
    }

    private mutating func digits(_ value: UInt64) {
        var count = 1
        var rest = value / 10
        while rest > 0 {
            count += 1
            rest /= 10
        }
        reserve(count)
        guard let base else { return }
        rest = value
        for index in stride(from: self.count + count - 1, through: self.count, by: -1) {
            base[index] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        self.count += count
    }

    private mutating func token(_ text: StaticString) {
        separate()
        raw(text)
    }

    @usableFromInline
    mutating func open(_ bracket: UInt8) {
        separate()
        byte(bracket)
        needsComma = false
    }

    @usableFromInline
    mutating func close(_ bracket: UInt8) {
        byte(bracket)
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { byte(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func raw(_ text: StaticString) {
        reserve(text.utf8CodeUnitCount)
        append(text.utf8Start, text.utf8CodeUnitCount)
    }

    private mutating func raw(_ text: String) {
        var text = text
        text.withUTF8 { raw($0) }
    }

    private mutating func raw(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let start = bytes.baseAddress else { return }
        reserve(bytes.count)
        append(start, bytes.count)
    }

    private mutating func byte(_ c: UInt8) {
        reserve(1)
        append(c)
    }

    /// Only within what was reserved.
    private mutating func append(_ c: UInt8) {
        guard let base else { return }
        base[count] = c
        count += 1
    }

    /// Only within what was reserved.
    private mutating func append(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
        guard let base else { return }
        (base + self.count).update(from: bytes, count: count)
        self.count += count
    }

    @inline(__always)
    private mutating func reserve(_ more: Int) { if more > capacity - count { grow(more) } }

    @inline(never)
    private mutating func grow(_ more: Int) {
        let larger = max(capacity * 2, count + more, 1024)
        // A long text is moved by its pages then: twice its memory would be taken for the moment of a copy.
        guard let new = realloc(base, larger) else { preconditionFailure("out of memory") }
        base = new.bindMemory(to: UInt8.self, capacity: larger)
        capacity = larger
    }
}
