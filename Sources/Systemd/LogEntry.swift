// One thing to say, and the two forms in which it is said: the journal's datagram and a line of text. No I/O.

/// How much an entry matters: the priorities of syslog(3).
public enum LogLevel: UInt8, Sendable, CaseIterable, Comparable {
    /// A promise of the daemon cannot be kept; somebody must act now.
    case critical = 2
    /// Something that was asked for did not happen.
    case error = 3
    /// It happened, but not as it should, or soon it will not.
    case warning = 4
    /// Rare and worth knowing: starts, stops, claims, releases, refusals.
    case notice = 5
    /// What goes on.
    case info = 6
    /// What only a developer wants.
    case debug = 7

    /// By urgency: a critical entry is greater than a debug one.
    public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue > right.rawValue }
}

/// A message with its level and the fields by which it is found again.
struct LogEntry {
    let level: LogLevel
    let message: String
    /// Names as the journal allows them; others are left out, as journald itself would.
    let fields: [(name: String, value: String)]
    let identifier: String

    init(level: LogLevel, message: String, fields: KeyValuePairs<String, String>, identifier: String) {
        self.init(
            level: level, message: message, fields: fields.map { (name: $0.key, value: $0.value) },
            identifier: identifier)
    }

    init(level: LogLevel, message: String, fields: [(name: String, value: String)], identifier: String) {
        self.level = level
        self.message = message
        self.fields = fields
        self.identifier = identifier
    }

    init(_ message: JournalMessage, identifier: String) {
        self.init(
            level: message.kind.level, message: message.text,
            fields: [("MESSAGE_ID", message.kind.id)] + message.fields.map { ($0.name.rawValue, $0.value) },
            identifier: identifier)
    }

    /// The journal's native protocol, https://systemd.io/JOURNAL_NATIVE_PROTOCOL.
    var datagram: [UInt8] {
        var bytes: [UInt8] = []
        append("PRIORITY", String(level.rawValue), to: &bytes)
        append("SYSLOG_IDENTIFIER", identifier, to: &bytes)
        append("MESSAGE", message, to: &bytes)
        for (name, value) in fields where isFieldName(name) { append(name, value, to: &bytes) }
        return bytes
    }

    /// A line with its line break, for a terminal or a file: `vfiogroupd: warning: message`.
    var line: [UInt8] {
        switch level {
        case .critical, .error: lineOfText(after: "\(identifier): error: ")
        case .warning: lineOfText(after: "\(identifier): warning: ")
        case .notice, .info: lineOfText(after: "\(identifier): ")
        case .debug: lineOfText(after: "\(identifier): debug: ")
        }
    }

    /// A line with its line break, for a stream that journald reads, which takes the level from the front, sd-daemon(3).
    var journalStreamLine: [UInt8] { lineOfText(after: "<\(level.rawValue)>\(identifier): ") }

    /// A write of at most PIPE_BUF bytes to a pipe that poll(2) calls writable does not wait, pipe(7).
    static let longestLine = 4096
    /// Far below what a datagram may hold (net.core.wmem_default), so that no memfd is needed.
    static let longestValue = 16 << 10

    private func lineOfText(after prefix: String) -> [UInt8] {
        var bytes = Array(prefix.utf8)
        bytes += printable(message).beginning(bytes: Self.longestLine - bytes.count - 1).utf8
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    private func append(_ name: String, _ value: String, to bytes: inout [UInt8]) {
        let newline = UInt8(ascii: "\n")
        let value = value.beginning(bytes: Self.longestValue).utf8
        bytes += name.utf8
        if value.contains(newline) {
            // Length in front, so that no value can pass for a further field.
            bytes.append(newline)
            withUnsafeBytes(of: UInt64(value.count).littleEndian) { bytes += $0 }
        } else {
            bytes.append(UInt8(ascii: "="))
        }
        bytes += value
        bytes.append(newline)
    }
}

/// Whether journald takes a field of that name from a client: upper case, digits and `_`, not beginning with a digit,
/// nor with `_`, which marks what journald itself vouches for; systemd.journal-fields(7).
private func isFieldName(_ name: String) -> Bool {
    guard let first = name.utf8.first, name.utf8.count <= 64 else { return false }
    let isLetter = { (byte: UInt8) in (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }
    return isLetter(first)
        && name.utf8.allSatisfy { byte in
            isLetter(byte) || byte == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
}

/// A text without control characters: a message may hold words of a client, and neither a second line nor a terminal's
/// escape sequence may come of them.
private func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return text }
    return text.unicodeScalars.map { scalar in
        scalar.properties.generalCategory == .control ? scalar.escaped(asASCII: true) : String(scalar)
    }.joined()
}
