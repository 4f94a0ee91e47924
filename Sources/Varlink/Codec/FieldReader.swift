public import JSON

/// Takes the declared fields out of an object one by one; what is left at the end was not declared.
public struct FieldReader {
    private let members: [JSONObject.Member]
    private let mode: ReadingMode
    /// Senders mostly keep to the order of the declaration: where the next field is looked for first.
    private var expected = 0
    private var declared: [StaticString] = []
    private var taken = 0

    public init(_ value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter) {
        guard case .object(let object) = value else { throw InvalidParameter() }
        members = object.members
        self.mode = mode
    }

    /// A field that must be there. A `?` type within an array or map is read by the element itself.
    public mutating func required<Value: VarlinkValue>(
        _ name: StaticString
    ) throws(InvalidParameter) -> Value {
        guard let value = take(name) else { throw InvalidParameter(name.description) }
        return try read(name, value)
    }

    /// A field of a `?` type: absent and null are the same.
    public mutating func optional<Value: VarlinkValue>(
        _ name: StaticString
    ) throws(InvalidParameter) -> Value? {
        guard let value = take(name), value != .null else { return nil }
        return try read(name, value)
    }

    /// Refuses members that were not asked for, and those that are there twice, when reading a call.
    public func finish() throws(InvalidParameter) {
        guard mode == .call, taken < members.count else { return }
        var seen: Set<String> = []
        for member in members {
            let isDeclared = declared.contains { $0.description == member.key }
            guard isDeclared, seen.insert(member.key).inserted else { throw InvalidParameter(member.key) }
        }
    }

    private mutating func take(_ name: StaticString) -> JSONValue? {
        declared.append(name)
        if expected < members.count, members[expected].key == name {
            defer { expected += 1 }
            taken += 1
            return members[expected].value
        }
        guard let index = members.firstIndex(where: { $0.key == name }) else { return nil }
        taken += 1
        expected = index + 1
        return members[index].value
    }

    private func read<Value: VarlinkValue>(
        _ name: StaticString, _ value: JSONValue
    ) throws(InvalidParameter) -> Value {
        do {
            return try Value(reading: value, mode)
        } catch {
            throw error.inside(name.description)
        }
    }
}

extension String {
    /// Compares without making a string of the name first.
    fileprivate static func == (text: String, name: StaticString) -> Bool {
        var text = text
        return text.withUTF8 { text in
            text.count == name.utf8CodeUnitCount
                && text.elementsEqual(UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        }
    }
}

extension JSONWriter {
    /// Writes a field of a structure.
    public mutating func field(_ name: StaticString, _ value: some VarlinkValue) {
        key(name)
        value.write(to: &self)
    }

    /// Writes a field of a `?` type: nothing when it is nil.
    public mutating func field(_ name: StaticString, _ value: (some VarlinkValue)?) {
        if let value { field(name, value) }
    }
}
