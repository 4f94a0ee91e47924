// The keys that files may set: for each its section, its name, the field it fills and how its text is read. A new key
// is one line in `Key.all`.

/// One key of one section.
struct Key: Sendable {
    let section: String
    let name: String
    /// Takes over a value; returns what is wrong with it, and then has changed nothing.
    let assign: @Sendable (_ value: String, _ configuration: inout Configuration) -> String?

    /// A key of which the last assignment counts, and to which an empty one gives its default back.
    init<Value: Sendable>(
        _ section: String,
        _ name: String,
        _ field: any WritableKeyPath<Configuration, Value> & Sendable,
        _ read: @escaping @Sendable (String) -> Reading<Value>
    ) {
        self.section = section
        self.name = name
        assign = { text, configuration in
            if text.isEmpty {
                configuration[keyPath: field] = Configuration()[keyPath: field]
                return nil
            }
            switch read(text) {
            case .value(let value):
                configuration[keyPath: field] = value
                return nil
            case .refused(let why):
                return "\(name)=\(quoted(text)) \(why)"
            }
        }
    }

    static let all: [Key] = [
        Key("Daemon", "Backend", \.backend) { choice($0, what: "backend") },
        Key("Daemon", "Socket", \.socket) { absolutePath($0, longest: longestSocketPath) },
        Key("Daemon", "StateDirectory", \.stateDirectory) { absolutePath($0, longest: longestPath) },
    ]
}

/// What became of a value's text.
enum Reading<Value> {
    case value(Value)
    /// The end of a sentence that begins with the assignment, remedy included.
    case refused(String)
}

/// sun_path holds 108 bytes with the NUL, unix(7).
private let longestSocketPath = 107
/// PATH_MAX is 4096 with the NUL.
private let longestPath = 4095

/// One of an enumeration's words.
private func choice<Choice: RawRepresentable & CaseIterable>(_ text: String, what: String) -> Reading<Choice>
where Choice.RawValue == String {
    if let choice = Choice(rawValue: text) { return .value(choice) }
    let words = Choice.allCases.map(\.rawValue).joined(separator: ", ")
    return .refused("is no \(what); write one of: \(words)")
}

/// A path from the root, without `.`, `..` and empty parts: those would mean another place once a link is involved.
private func absolutePath(_ text: String, longest: Int) -> Reading<String?> {
    let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard parts.count > 1, parts[0].isEmpty else {
        return .refused("is no absolute path; begin it with / and write it without quotes")
    }
    let isPlain = parts.dropFirst().allSatisfy { part in
        !part.isEmpty && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8)
    }
    guard isPlain else { return .refused("has an empty part, '.' or '..' in it; write the path without them") }
    guard !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
        return .refused("has a control character in it; remove it")
    }
    guard text.utf8.count <= longest else {
        return .refused("is \(text.utf8.count) bytes long; use a path of at most \(longest)")
    }
    return .value(text)
}
