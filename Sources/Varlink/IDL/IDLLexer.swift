/// Cuts a description text into tokens, and notes which comments stand where.
struct IDLLexer {
    enum Token: Equatable {
        /// A keyword, a name, or a dotted interface name.
        case word(String)
        /// `( ) : , ? -> [] [string]`.
        case symbol(String)
        case end
    }

    let file: String
    private let scalars: [Unicode.Scalar]
    private var offset = 0
    private(set) var line = 1
    /// Something other than white space stood on this line before.
    private var lineHasToken = false
    private var pendingComment: [String] = []
    /// Comments behind something on their line: legal, but not every implementation parses them.
    private(set) var trailingComments: [Int] = []
    /// The first line that ends in CR.
    private(set) var carriageReturn: Int?

    init(_ text: String, file: String) {
        self.file = file
        scalars = Array(text.unicodeScalars)
    }

    func error(_ message: String, line: Int? = nil) -> IDLError {
        IDLError(file: file, line: line ?? self.line, message: message)
    }

    /// The comment lines met since the last call: the documentation of what comes next.
    mutating func takeComment() -> [String] {
        defer { pendingComment = [] }
        return pendingComment
    }

    /// The next token; comments before it are kept for `takeComment`.
    mutating func next() throws(IDLError) -> Token {
        skipBlanks()
        guard offset < scalars.count else { return .end }
        lineHasToken = true
        let first = scalars[offset]
        if isWord(first) {
            let start = offset
            while offset < scalars.count, isWord(scalars[offset]) || isInnerDash { offset += 1 }
            return .word(text(start..<offset))
        }
        for symbol in ["->", "[string]", "[]", "(", ")", ":", ",", "?"] where follows(symbol) {
            offset += symbol.unicodeScalars.count
            return .symbol(symbol)
        }
        throw error("unexpected character '\(Character(first))'")
    }

    private mutating func skipBlanks() {
        var blankLine = false
        while offset < scalars.count {
            switch scalars[offset] {
            case "\n", "\r":
                if scalars[offset] == "\r", carriageReturn == nil { carriageReturn = line }
                // CR LF is one end of line.
                if scalars[offset] == "\r", offset + 1 < scalars.count, scalars[offset + 1] == "\n" { offset += 1 }
                if blankLine { pendingComment = [] }
                line += 1
                lineHasToken = false
                blankLine = true
                offset += 1
            case " ", "\t": offset += 1
            case "#":
                takeCommentLine()
                blankLine = false
            default: return
            }
        }
    }

    private mutating func takeCommentLine() {
        let start = offset + 1
        while offset < scalars.count, scalars[offset] != "\n", scalars[offset] != "\r" { offset += 1 }
        if lineHasToken { return trailingComments.append(line) }
        let comment = text(start..<offset)
        pendingComment.append(comment.hasPrefix(" ") ? String(comment.dropFirst()) : comment)
        lineHasToken = true
    }

    private func follows(_ symbol: String) -> Bool {
        scalars[offset...].starts(with: symbol.unicodeScalars)
    }

    private func isWord(_ c: Unicode.Scalar) -> Bool {
        switch c {
        case "a"..."z", "A"..."Z", "0"..."9", "_", ".": true
        default: false
        }
    }

    /// A dash within a word, which is not the start of `->`.
    private var isInnerDash: Bool {
        scalars[offset] == "-" && offset + 1 < scalars.count && scalars[offset + 1] != ">"
    }

    private func text(_ range: Range<Int>) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars[range])
        return String(text)
    }
}
