public import JSON

// The types of the definition language that Swift has already.

extension Bool: VarlinkValue {
    public init(reading value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter) {
        guard case .bool(let bool) = value else { throw InvalidParameter() }
        self = bool
    }

    public func write(to writer: inout JSONWriter) { writer.value(self) }
}

extension Int: VarlinkValue {
    /// A number with a fraction or an exponent is no int, whatever its value.
    public init(reading value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter) {
        guard case .int(let number) = value, let int = Int(exactly: number) else { throw InvalidParameter() }
        self = int
    }

    public func write(to writer: inout JSONWriter) { writer.value(Int64(self)) }
}

extension Double: VarlinkValue {
    public init(reading value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter) {
        switch value {
        case .double(let double): self = double
        case .int(let int): self = Double(int)
        case .unsigned(let int): self = Double(int)
        case .literal(let text):
            // More digits than any Double needs to be told from its neighbours.
            guard text.utf8.count <= 400, let double = Double(text), double.isFinite else { throw InvalidParameter() }
            self = double
        default: throw InvalidParameter()
        }
    }

    public func write(to writer: inout JSONWriter) { writer.value(self) }
}

extension String: VarlinkValue {
    public init(reading value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter) {
        guard case .string(let string) = value else { throw InvalidParameter() }
        self = string
    }

    public func write(to writer: inout JSONWriter) { writer.value(self) }
}

/// The type `object`.
extension JSONObject: VarlinkValue {
    public init(reading value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter) {
        guard case .object(let object) = value else { throw InvalidParameter() }
        if let key = value.firstDuplicateKey { throw InvalidParameter(key) }
        self = object
    }

    public func write(to writer: inout JSONWriter) { writer.value(self) }
}

/// The type `any`.
extension JSONValue: VarlinkValue {
    public init(reading value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter) {
        if case .null = value { throw InvalidParameter() }
        if let key = value.firstDuplicateKey { throw InvalidParameter(key) }
        self = value
    }

    public func write(to writer: inout JSONWriter) { writer.value(self) }
}

extension Array: VarlinkValue where Element: VarlinkValue {
    public init(reading value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter) {
        guard case .array(let values) = value else { throw InvalidParameter() }
        var elements: [Element] = []
        elements.reserveCapacity(values.count)
        for (index, value) in values.enumerated() {
            do {
                elements.append(try Element(reading: value, mode))
            } catch {
                throw error.inside("[\(index)]")
            }
        }
        self = elements
    }

    public func write(to writer: inout JSONWriter) {
        writer.array { writer in for element in self { element.write(to: &writer) } }
    }
}

/// The type `[string]T`. It is written in the order of its keys, so that equal values are equal bytes.
extension Dictionary: VarlinkValue where Key == String, Value: VarlinkValue {
    public init(reading value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter) {
        guard case .object(let object) = value else { throw InvalidParameter() }
        self.init(minimumCapacity: object.members.count)
        for member in object.members {
            do throws(InvalidParameter) {
                let first = updateValue(try Value(reading: member.value, mode), forKey: member.key) == nil
                guard first else { throw InvalidParameter() }
            } catch {
                throw error.inside("[\(member.key.clipped())]")
            }
        }
    }

    public func write(to writer: inout JSONWriter) {
        writer.object { writer in
            for (key, value) in sorted(by: { $0.key < $1.key }) {
                writer.key(key)
                value.write(to: &writer)
            }
        }
    }
}

/// The type `?T` within an array or a map; a field of such a type is left out instead.
extension Optional: VarlinkValue where Wrapped: VarlinkValue {
    public init(reading value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter) {
        self = if case .null = value { nil } else { try Wrapped(reading: value, mode) }
    }

    public func write(to writer: inout JSONWriter) {
        if let self { self.write(to: &writer) } else { writer.null() }
    }
}

/// The type `()`.
public struct EmptyStructure: VarlinkValue, Hashable {
    public init() {}

    public init(reading value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter) {
        try FieldReader(value, mode).finish()
    }

    public func write(to writer: inout JSONWriter) { writer.object { (_) in } }
}

extension VarlinkValue where Self: RawRepresentable, RawValue == String {
    /// An enumeration is the name of its value.
    public init(reading value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter) {
        guard case .string(let name) = value, let choice = Self(rawValue: name) else { throw InvalidParameter() }
        self = choice
    }

    public func write(to writer: inout JSONWriter) { writer.value(rawValue) }
}
