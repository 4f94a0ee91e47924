public import JSON

/// Takes the declared fields out of an object one by one; what is left at the end was not declared.
public struct FieldReader {
    @usableFromInline let members: [JSONObject.Member]
    @usableFromInline let mode: ReadingMode
    /// Senders mostly keep to the order of the declaration: where the next field is looked for first.
    @usableFromInline var expected = 0
    /// How many members were taken, and which: the first 64 by bit, a call has seldom more.
    @usableFromInline var taken = 0
    @usableFromInline var takenFirst: UInt64 = 0
    @usableFromInline var takenLater: Set<Int> = []

    public init(_ value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter) {
        guard case .object(let object) = value else { throw InvalidParameter() }
        members = object.members
        self.mode = mode
    }

    /// A field that must be there. A `?` type within an array or map is read by the element itself.
    @inlinable
    public mutating func required<Value: VarlinkValue>(
        _ name: StaticString
    ) throws(InvalidParameter) -> Value {
        guard let value = take(name) else { throw InvalidParameter(name.description) }
        return try read(name, value)
    }

    /// A field of a `?` type: absent and null are the same.
    @inlinable
    public mutating func optional<Value: VarlinkValue>(
        _ name: StaticString
    ) throws(InvalidParameter) -> Value? {
        guard let value = take(name) else { return nil }
        if case .null = value { return nil }
        // With its type: inferred, it would be read as an optional once more.
        let present: Value = try read(name, value)
        return present
    }

    /// Refuses members that were not asked for, and those that are there twice, when reading a call.
    public func finish() throws(InvalidParameter) {
        guard mode == .call, taken < members.count else { return }
        for (index, member) in members.enumerated() {
            let isTaken = index < 64 ? takenFirst & (1 << index) != 0 : takenLater.contains(index)
            guard isTaken else { throw InvalidParameter(member.key) }
        }
    }

    @usableFromInline
    mutating func take(_ name: StaticString) -> JSONValue? {
        guard taken < members.count else { return nil }
        var index = expected
        if index >= members.count || !(members[index].key == name) {
            guard let found = members.firstIndex(where: { $0.key == name }) else { return nil }
            index = found
        }
        taken += 1
        expected = index + 1
        if index < 64 { takenFirst |= 1 << index } else { takenLater.insert(index) }
        return members[index].value
    }

    @inlinable
    func read<Value: VarlinkValue>(
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
