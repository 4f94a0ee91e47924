/// The members of a JSON object, in the order they were written. Keys may repeat: whether that is an error is for the
/// reader to say, and Varlink says it differently for a message's header and for its parameters.
public struct JSONObject: Sendable, Equatable {
    /// A key and its value.
    public struct Member: Sendable, Equatable {
        public var key: String
        public var value: JSONValue

        public init(key: String, value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    public var members: [Member]

    public init(members: [Member] = []) { self.members = members }

    public init(_ members: some Sequence<(String, JSONValue)>) {
        self.members = members.map { Member(key: $0.0, value: $0.1) }
    }

    public var isEmpty: Bool { members.isEmpty }

    /// The first member with this key.
    public subscript(key: String) -> JSONValue? { members.first { $0.key == key }?.value }

    /// The first key that occurs a second time.
    public var duplicateKey: String? {
        // A handful is quicker to compare in pairs; beyond that, pairs are what an attacker hopes for.
        if members.count <= 8 {
            for (index, member) in members.enumerated()
            where members[..<index].contains(where: { $0.key == member.key }) {
                return member.key
            }
            return nil
        }
        var seen: Set<String> = []
        seen.reserveCapacity(members.count)
        return members.first { !seen.insert($0.key).inserted }?.key
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral members: (String, JSONValue)...) { self.init(members) }
}
