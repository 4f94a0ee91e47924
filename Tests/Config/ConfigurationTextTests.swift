// The syntax of a file: what systemd.syntax(7) promises, and bytes that are no text.

import Testing

@testable import Config

@Suite("Configuration text")
struct ConfigurationTextTests {
    private func parsed(_ bytes: [UInt8]) -> ParsedText { ParsedText(ConfigurationText(file: "f", bytes: bytes)) }

    /// The statements as `line: [section]` or `line: key=value`.
    private func statements(_ text: String) -> [String] {
        parsed(Array(text.utf8)).statements.map { statement in
            switch statement.kind {
            case .section(let name): "\(statement.line): [\(name)]"
            case .brokenSection: "\(statement.line): broken"
            case .assignment(let key, let value): "\(statement.line): \(key)=\(value)"
            }
        }
    }

    @Test("comments, empty lines and white space around words do not count")
    func blanks() {
        #expect(statements("# a\n ; b\n\n\t[S] \n  K =  v w \t\n") == ["4: [S]", "5: K=v w"])
    }

    @Test("only the first '=' separates")
    func equalsSigns() { #expect(statements("[S]\nK=a=b") == ["1: [S]", "2: K=a=b"]) }

    @Test("# and ; within a line are part of the value")
    func noTrailingComments() { #expect(statements("K=v # w ; x") == ["1: K=v # w ; x"]) }

    @Test("a trailing backslash becomes a space and goes on, over comments too")
    func continuation() {
        #expect(statements("K=a\\\n  # comment\\\n  b\\\n;c\n c\nL=1") == ["1: K=a b c", "6: L=1"])
    }

    @Test("an empty line ends a continued one")
    func continuationByEmptyLine() { #expect(statements("K=a\\\n\nL=b") == ["1: K=a", "3: L=b"]) }

    @Test("two backslashes do not continue, three do")
    func escapedBackslash() {
        #expect(statements("K=a\\\\\nL=b") == ["1: K=a\\\\", "2: L=b"])
        #expect(statements("K=a\\\\\\\nb") == ["1: K=a\\\\ b"])
    }

    @Test("a continued line at the end of the file counts")
    func continuationAtTheEnd() { #expect(statements("K=a\\") == ["1: K=a"]) }

    @Test("lines may end as on DOS, and a byte order mark is passed over")
    func foreignEditors() {
        #expect(statements("\u{FEFF}[S]\r\nK=a\\\r\nb\r\n") == ["1: [S]", "2: K=a b"])
    }

    @Test("a combining mark behind '=' belongs to the value")
    func combiningMark() { #expect(statements("K=\u{301}") == ["1: K=\u{301}"]) }

    @Test("a line that is not UTF-8 or holds a NUL is reported, alone")
    func notText() {
        let text = parsed(Array("[S]\nA=".utf8) + [0xFF] + Array("\nB=".utf8) + [0] + Array("x\nC=1\n".utf8))
        #expect(
            text.mistakes.map(\.description) == [
                "f:2: the line is not UTF-8; save the file as UTF-8", "f:3: a NUL byte at column 3; remove it",
            ]
        )
        #expect(text.statements.map(\.line) == [1, 4])
    }

    @Test("a comment may be in any encoding")
    func foreignComment() { #expect(parsed(Array("# K".utf8) + [0xF6] + Array("nig\n".utf8)).mistakes == []) }

    @Test("a bad piece spoils the continued line it is in, and is reported where it is")
    func badPiece() {
        let text = parsed(Array("A=1\\\n".utf8) + [0xC3, 0x28] + Array("\\\n3\nB=1".utf8))
        #expect(text.mistakes.map(\.line) == [2])
        #expect(text.statements.map(\.line) == [4])
    }

    @Test("any bytes at all are read without harm")
    func anyBytes() {
        var random = Repeatable()
        let alphabet: [UInt8] = Array("[]=\\#;\r\n ABX-".utf8) + [0, 0xEF, 0xBB, 0xBF, 0xFF]
        for length in 0..<2000 {
            let bytes = (0..<length % 64).map { _ in alphabet.randomElement(using: &random) ?? 0 }
            let text = parsed(bytes)
            let lines = 1...(bytes.count { $0 == 0x0A } + 1)
            #expect(text.statements.allSatisfy { lines.contains($0.line) })
        }
    }
}

/// The same numbers in every run, so that a failure can be looked at (SplitMix64).
private struct Repeatable: RandomNumberGenerator {
    private var state: UInt64 = 1

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
