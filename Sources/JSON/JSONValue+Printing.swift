// For people to read: one member or element a line, indented by two spaces.
extension JSONValue: CustomStringConvertible {
    /// The value without white space.
    public var description: String {
        var writer = JSONWriter()
        writer.value(self)
        return String(decoding: writer.buffer, as: UTF8.self)
    }

    /// The value over several lines.
    public var pretty: String {
        var text = ""
        print(into: &text, indent: "")
        return text
    }

    private func print(into text: inout String, indent: String) {
        let inner = indent + "  "
        switch self {
        case .array(let elements) where !elements.isEmpty:
            text += "["
            for (index, element) in elements.enumerated() {
                text += (index == 0 ? "\n" : ",\n") + inner
                element.print(into: &text, indent: inner)
            }
            text += "\n\(indent)]"
        case .object(let object) where !object.isEmpty:
            text += "{"
            for (index, member) in object.members.enumerated() {
                text += (index == 0 ? "\n" : ",\n") + inner + JSONValue.string(member.key).description + ": "
                member.value.print(into: &text, indent: inner)
            }
            text += "\n\(indent)}"
        default: text += description
        }
    }
}
