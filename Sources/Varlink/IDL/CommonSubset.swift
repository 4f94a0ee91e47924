/// The part of the definition language that systemd 257 and 262, python-varlink and varlink/go all parse. An interface
/// that keeps to it can be introspected with any of them.
struct CommonSubset {
    let lexer: IDLLexer

    func check(_ definition: InterfaceDefinition) throws(IDLError) {
        if let line = lexer.carriageReturn { throw refuse("lines that end in CR LF", line) }
        if let line = lexer.trailingComments.first { throw refuse("a comment behind something on its line", line) }
        if definition.name.contains("-") { throw refuse("a dash in an interface name", 1) }
        if definition.methods.isEmpty { throw refuse("an interface without methods", 1) }
        for type in definition.types { try check(type.body, type.line) }
        for field in definition.allFields {
            if field.name.first?.isUppercase == true { throw refuse("an upper-case field name", field.line) }
            try check(field.type, field.line)
        }
    }

    private func check(_ type: InterfaceDefinition.FieldType, _ line: Int) throws(IDLError) {
        switch type {
        case .any: throw refuse("the type 'any'", line)
        case .optional(let inner): try check(inner, line)
        case .array(let element), .map(let element):
            switch element {
            case .array, .map: throw refuse("an array or map within another", line)
            case .optional: throw refuse("'?' within an array or map", line)
            case .structure(let fields) where fields.isEmpty: throw refuse("the type '()'", line)
            default: try check(element, line)
            }
        case .structure(let fields) where fields.isEmpty: throw refuse("the type '()'", line)
        case .enumeration(let choices):
            for choice in choices where choice.name.contains("-") {
                throw refuse("a dash in an enumeration", choice.line)
            }
        default: break
        }
    }

    private func refuse(_ what: String, _ line: Int) -> IDLError {
        lexer.error("not every Varlink implementation parses \(what)", line: line)
    }
}
