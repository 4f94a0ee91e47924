// What is wrong with the configuration: every mistake of every file, each saying where it is and what cures it.

/// The configuration cannot be used. It names all mistakes, since who edits files wants one round, not one a mistake.
public struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    /// The mistakes, never empty: files that could not be read first, then in the order of files and lines.
    public let mistakes: [Mistake]

    /// One mistake a line.
    public var description: String { mistakes.map(\.description).joined(separator: "\n") }
}

/// One mistake in one file.
public struct Mistake: Sendable, Equatable, CustomStringConvertible {
    /// The file as it was opened.
    public let file: String
    /// The line, from 1; of a continued line the first. nil: the file as a whole.
    public let line: Int?
    /// What is wrong and what cures it, in one line without control characters.
    public let message: String

    /// `file:line: message`, the form that editors jump from.
    public var description: String {
        guard let line else { return "\(file): \(message)" }
        return "\(file):\(line): \(message)"
    }
}

/// Text of a file inside a message: cut to a length one can read, and with control characters spelled out, because a
/// message ends up on terminals and in logs.
func quoted(_ text: String) -> String {
    let longest = 80
    var shown = "'"
    for scalar in text.unicodeScalars.prefix(longest) {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator:
            shown += "\\u{" + String(scalar.value, radix: 16) + "}"
        default:
            shown.unicodeScalars.append(scalar)
        }
    }
    return shown + (text.unicodeScalars.count > longest ? "...'" : "'")
}
