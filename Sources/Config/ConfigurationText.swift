// The syntax of one file, systemd.syntax(7): sections, assignments, comments, lines that go on. What the words mean is
// not known here.

/// One file's content and the name it goes by in messages.
public struct ConfigurationText: Sendable, Equatable {
    /// The name in messages, usually the path.
    public let file: String
    /// The content, as it was read.
    public let bytes: [UInt8]

    /// - Parameters:
    ///   - file: the name in messages.
    ///   - bytes: the content; any bytes at all.
    public init(file: String, bytes: [UInt8]) {
        self.file = file
        self.bytes = bytes
    }
}

/// What one logical line says.
struct Statement: Equatable {
    enum Kind: Equatable {
        /// `[name]`
        case section(String)
        /// A line that was meant as a section; what stands below it belongs nowhere, and is not one more mistake.
        case brokenSection
        /// `key=value`, both without surrounding white space.
        case assignment(key: String, value: String)
    }

    let kind: Kind
    /// The first physical line of it, from 1.
    let line: Int
}

/// The statements of a text in their order, and the lines that are none.
struct ParsedText: Equatable {
    private(set) var statements: [Statement] = []
    private(set) var mistakes: [Mistake] = []
    private let file: String

    init(_ text: ConfigurationText) {
        file = text.file
        var unfinished: LogicalLine?
        let lines = text.bytes.withoutByteOrderMark.split(separator: newline, omittingEmptySubsequences: false)
        for (number, physical) in zip(1..., lines) {
            var content = physical.trimmedAtStart
            if content.last == carriageReturn { content.removeLast() }
            // systemd skips comments between the pieces of a continued line too, never continues a comment,
            // and lets it be in any encoding.
            if let first = content.first, first == hash || first == semicolon { continue }

            var line = unfinished ?? LogicalLine(number: number)
            unfinished = nil
            if let flaw = flaw(of: physical) {
                line.isSound = false
                mistakes.append(Mistake(file: file, line: number, message: flaw))
            }
            if content.endsInOddBackslashes {
                line.bytes += content.dropLast()
                line.bytes.append(space)
                unfinished = line
            } else {
                line.bytes += content
                read(line)
            }
        }
        // systemd takes a continued line that the end of the file cuts off as if it were whole.
        if let unfinished { read(unfinished) }
    }

    private mutating func read(_ line: LogicalLine) {
        let content = line.bytes[...].trimmed
        guard line.isSound, let first = content.first else { return }
        if first == openBracket {
            readSection(content, at: line.number)
        } else if let equals = content.firstIndex(of: equalsSign) {
            let key = content[..<equals].trimmed
            if key.isEmpty {
                complain(line.number, "no key before '=' in \(quoted(text(content))); write Key=Value")
            } else {
                let value = content[(equals + 1)...].trimmed
                add(.assignment(key: text(key), value: text(value)), at: line.number)
            }
        } else {
            complain(
                line.number,
                "no '=' in \(quoted(text(content))); write Key=Value, or begin the line with # to make it a comment"
            )
        }
    }

    private mutating func readSection(_ content: ArraySlice<UInt8>, at line: Int) {
        let name = content.dropFirst().dropLast()
        guard content.count > 2, content.last == closeBracket, !name.contains(openBracket), !name.contains(closeBracket)
        else {
            complain(line, "\(quoted(text(content))) is no section header; write [Name] alone on the line")
            add(.brokenSection, at: line)
            return
        }
        add(.section(text(name)), at: line)
    }

    private func flaw(of physical: ArraySlice<UInt8>) -> String? {
        if let zero = physical.firstIndex(of: 0) {
            return "a NUL byte at column \(zero - physical.startIndex + 1); remove it"
        }
        if String(validating: physical, as: UTF8.self) == nil { return "the line is not UTF-8; save the file as UTF-8" }
        return nil
    }

    private func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

    private mutating func add(_ kind: Statement.Kind, at line: Int) {
        statements.append(Statement(kind: kind, line: line))
    }

    private mutating func complain(_ line: Int, _ message: String) {
        mistakes.append(Mistake(file: file, line: line, message: message))
    }
}

/// Physical lines joined by a trailing backslash.
private struct LogicalLine {
    let number: Int
    var bytes: [UInt8] = []
    /// Whether all its pieces could be read; else it was reported already and means nothing.
    var isSound = true

    init(number: Int) { self.number = number }
}

// The syntax is read as bytes: in a String, '=' followed by a combining mark is another character than '='.
private let newline = UInt8(ascii: "\n")
private let carriageReturn = UInt8(ascii: "\r")
private let space = UInt8(ascii: " ")
private let hash = UInt8(ascii: "#")
private let semicolon = UInt8(ascii: ";")
private let backslash = UInt8(ascii: "\\")
private let equalsSign = UInt8(ascii: "=")
private let openBracket = UInt8(ascii: "[")
private let closeBracket = UInt8(ascii: "]")

private func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == UInt8(ascii: "\t") || byte == carriageReturn }

extension [UInt8] {
    fileprivate var withoutByteOrderMark: ArraySlice<UInt8> {
        starts(with: [0xEF, 0xBB, 0xBF]) ? dropFirst(3) : self[...]
    }
}

extension ArraySlice<UInt8> {
    fileprivate var trimmedAtStart: ArraySlice<UInt8> { drop(while: isBlank) }

    fileprivate var trimmed: ArraySlice<UInt8> {
        var rest = trimmedAtStart
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        return rest
    }

    /// A backslash escapes a backslash, so that only an odd number of them continues the line.
    fileprivate var endsInOddBackslashes: Bool {
        !reversed().prefix { $0 == backslash }.count.isMultiple(of: 2)
    }
}
