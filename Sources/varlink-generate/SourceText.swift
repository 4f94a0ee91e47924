/// Source code as it grows, line by line, indented by depth.
struct SourceText {
    private(set) var text = ""
    private var depth = 0

    mutating func line(_ line: String = "") {
        text += line.isEmpty ? "\n" : String(repeating: "    ", count: depth) + line + "\n"
    }

    /// `head {`, the body one level deeper, `}`.
    mutating func block(_ head: String, _ body: (inout SourceText) -> Void) {
        line(head + " {")
        indented(body)
        line("}")
    }

    mutating func indented(_ body: (inout SourceText) -> Void) {
        depth += 1
        body(&self)
        depth -= 1
    }

    /// A comment of the definition as a documentation comment.
    mutating func documentation(_ comment: [String]) {
        for text in comment { line(text.isEmpty ? "///" : "/// " + text) }
    }

    /// Text as a raw string literal over several lines, in a call's argument; `tail` follows it on its last line.
    mutating func literal(_ text: String, label: String, tail: String) {
        var fence = "#"
        while text.contains("\"\"\"" + fence) || text.contains("\\" + fence) { fence += "#" }
        line("\(label): \(fence)\"\"\"")
        for part in text.split(separator: "\n", omittingEmptySubsequences: false) { line(String(part)) }
        line("\"\"\"\(fence)" + tail)
    }
}
