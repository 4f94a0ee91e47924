// A record that holds more than this daemon reads. What it changes is written into it; all else stays as it was, for the
// daemon that knows it.

import JSON
import Varlink

/// A record of another daemon, and what this one made of it.
struct ForeignRecord: Equatable, Sendable {
    private var original: JSONValue
    private var understood: JSONValue

    /// nil where this daemon would write the same.
    init?(_ original: JSONValue, readAs understood: JSONValue) {
        guard original != understood else { return nil }
        self.original = original
        self.understood = understood
    }

    /// What is to be written when this daemon would write `current` now.
    func changed(to current: JSONValue) -> JSONValue { Self.merge(original, understood, current) }

    private static func merge(_ original: JSONValue, _ understood: JSONValue, _ current: JSONValue) -> JSONValue {
        if current == understood { return original }
        switch (original, understood, current) {
        case (.object(let original), .object(let understood), .object(let current)):
            var members = current.members.map { member in
                guard let before = original[member.key], let read = understood[member.key] else { return member }
                return JSONObject.Member(key: member.key, value: merge(before, read, member.value))
            }
            members += original.members.filter { understood[$0.key] == nil && current[$0.key] == nil }
            return .object(JSONObject(members: members))
        case (.array(let original), .array(let understood), .array(let current)):
            let merged = current.map { element in
                guard let before = original.first(where: { $0.name == element.name }),
                    let read = understood.first(where: { $0.name == element.name })
                else { return element }
                return merge(before, read, element)
            }
            return .array(merged + original.filter { before in !understood.contains { $0.name == before.name } })
        default: return current
        }
    }
}

extension JSONValue {
    /// What this daemon writes of a value.
    init(of value: some VarlinkValue) {
        var writer = JSONWriter()
        value.write(to: &writer)
        // What is written can be read.
        self = (try? JSONValue(parsing: String(decoding: writer.bytes, as: UTF8.self), limits: .lenient)) ?? .null
    }

    /// By what an element of an array is told from others.
    fileprivate var name: JSONValue { self["id"] ?? self["address"] ?? self["pid"] ?? self }

    /// Changes a member of an object, if it is there.
    mutating func change(_ key: String, _ change: (JSONValue) -> JSONValue) {
        guard case .object(var object) = self, let index = object.members.firstIndex(where: { $0.key == key }) else {
            return
        }
        object.members[index].value = change(object.members[index].value)
        self = .object(object)
    }

    /// Changes every element of an array that is a member of an object.
    mutating func changeEach(_ key: String, _ change: (inout JSONValue) -> Void) {
        self.change(key) { value in
            guard case .array(var elements) = value else { return value }
            for index in elements.indices { change(&elements[index]) }
            return .array(elements)
        }
    }

    /// Keeps some elements of an array that is a member of an object.
    mutating func filter(_ key: String, _ isKept: (JSONValue) -> Bool) {
        change(key) { value in
            guard case .array(let elements) = value else { return value }
            return .array(elements.filter(isKept))
        }
    }

    /// Sets a member of an object.
    mutating func set(_ key: String, _ value: JSONValue) {
        add(key, value)
        change(key) { _ in value }
    }

    /// Adds a member to an object that has none of this name.
    mutating func add(_ key: String, _ value: JSONValue) {
        guard case .object(var object) = self, object[key] == nil else { return }
        object.members.append(JSONObject.Member(key: key, value: value))
        self = .object(object)
    }
}
