/// Reads an interface definition by UAPI.20's grammar. What only some implementations parse is found afterwards, by
/// `CommonSubset`.
struct IDLParser {
    typealias Definition = InterfaceDefinition

    private(set) var lexer: IDLLexer
    private var token = IDLLexer.Token.end
    private var line = 1
    private var comment: [String] = []

    init(_ text: String, file: String) throws(IDLError) {
        lexer = IDLLexer(text, file: file)
        try advance()
    }

    mutating func definition() throws(IDLError) -> Definition {
        let comment = comment
        guard token == .word("interface") else { throw error("expected 'interface'") }
        try advance()
        var definition = Definition(name: try interfaceName(), comment: comment, types: [], methods: [], errors: [])
        var lines: [String: Int] = [:]
        while token != .end {
            let (name, line) = try member(into: &definition)
            if let first = lines.updateValue(line, forKey: name) {
                throw lexer.error("'\(name)' is defined on line \(first) already", line: line)
            }
        }
        try checkReferences(definition)
        return definition
    }

    /// Takes one `type`, `method` or `error`; its name, and the line it starts on.
    private mutating func member(into definition: inout Definition) throws(IDLError) -> (String, Int) {
        let (comment, line) = (comment, line)
        guard case .word(let keyword) = token else { throw error("expected 'type', 'method' or 'error'") }
        guard ["type", "method", "error"].contains(keyword) else {
            throw error("expected 'type', 'method' or 'error', not '\(keyword)'")
        }
        try advance()
        let name = try memberName(keyword)
        switch keyword {
        case "type":
            let body = try structureOrEnumeration()
            definition.types.append(.init(name: name, comment: comment, body: body, line: line))
        case "method":
            let parameters = try fields()
            try expect("->")
            let method = Definition.MethodDefinition(
                name: name, comment: comment, parameters: parameters, reply: try fields(), line: line)
            definition.methods.append(method)
        default:
            definition.errors.append(.init(name: name, comment: comment, parameters: try fields(), line: line))
        }
        return (name, line)
    }

    private mutating func type(afterOptional: Bool = false) throws(IDLError) -> Definition.FieldType {
        switch token {
        case .symbol("?"):
            guard !afterOptional else { throw error("'?' twice") }
            try advance()
            return .optional(try type(afterOptional: true))
        case .symbol("[]"):
            try advance()
            return .array(try type())
        case .symbol("[string]"):
            try advance()
            return .map(try type())
        case .symbol("("): return try structureOrEnumeration()
        case .word(let word):
            let type: Definition.FieldType
            switch word {
            case "bool": type = .bool
            case "int": type = .int
            case "float": type = .float
            case "string": type = .string
            case "object": type = .object
            case "any": type = .any
            default:
                guard isMemberName(word) else { throw error("'\(word)' is no type") }
                type = .named(word)
            }
            try advance()
            return type
        default: throw error("expected a type")
        }
    }

    /// `(a: int)` or `(a, b)`; `()` is a structure without fields.
    private mutating func structureOrEnumeration() throws(IDLError) -> Definition.FieldType {
        try expect("(")
        if token == .symbol(")") {
            try advance()
            return .structure([])
        }
        let (comment, line) = (comment, line)
        let name = try fieldName()
        if token == .symbol(":") { return .structure(try fields(first: name, comment, line)) }
        var choices = [Definition.Choice(name: name, comment: comment, line: line)]
        while try isContinued() {
            let (comment, line) = (self.comment, self.line)
            choices.append(.init(name: try fieldName(), comment: comment, line: line))
        }
        try checkUnique(choices.map { ($0.name, $0.line) })
        return .enumeration(choices)
    }

    private mutating func fields() throws(IDLError) -> [Definition.Field] {
        let line = line
        guard case .structure(let fields) = try structureOrEnumeration() else {
            throw lexer.error("expected 'name: type'", line: line)
        }
        return fields
    }

    private mutating func fields(
        first name: String, _ comment: [String], _ line: Int
    ) throws(IDLError) -> [Definition.Field] {
        var (name, comment, line) = (name, comment, line)
        var fields: [Definition.Field] = []
        while true {
            try expect(":")
            fields.append(.init(name: name, comment: comment, type: try type(), line: line))
            guard try isContinued() else { break }
            (comment, line) = (self.comment, self.line)
            name = try fieldName()
        }
        try checkUnique(fields.map { ($0.name, $0.line) })
        return fields
    }

    /// Takes the comma before another field, or the bracket behind the last.
    private mutating func isContinued() throws(IDLError) -> Bool {
        if token == .symbol(")") {
            try advance()
            return false
        }
        guard token == .symbol(",") else { throw error("expected ',' or ')'") }
        try advance()
        guard token != .symbol(")") else { throw error("a comma before ')'") }
        return true
    }
}

extension IDLParser {
    private mutating func advance() throws(IDLError) {
        token = try lexer.next()
        line = lexer.line
        comment = lexer.takeComment()
    }

    private mutating func expect(_ symbol: String) throws(IDLError) {
        guard token == .symbol(symbol) else { throw error("expected '\(symbol)'") }
        try advance()
    }

    private func error(_ message: String) -> IDLError { lexer.error(message, line: line) }

    private mutating func interfaceName() throws(IDLError) -> String {
        guard case .word(let name) = token else { throw error("expected the interface's name") }
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        let sound = labels.allSatisfy { label in
            !label.isEmpty && !label.hasPrefix("-") && !label.hasSuffix("-") && !label.contains("_")
        }
        guard sound, labels.count > 1, name.first?.isLetter == true else {
            throw error("'\(name)' is no interface name")
        }
        try advance()
        return name
    }

    private mutating func memberName(_ keyword: String) throws(IDLError) -> String {
        guard case .word(let name) = token, isMemberName(name) else {
            throw error("expected the name of the \(keyword), which begins with an upper-case letter")
        }
        try advance()
        return name
    }

    private func isMemberName(_ name: String) -> Bool {
        name.first?.isUppercase == true && !name.contains { $0 == "_" || $0 == "." || $0 == "-" }
    }

    private mutating func fieldName() throws(IDLError) -> String {
        guard case .word(let name) = token else { throw error("expected a field's name") }
        let parts = name.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.allSatisfy({ !$0.isEmpty }), !name.contains("."), name.first?.isLetter == true else {
            throw error("'\(name)' is no field name")
        }
        try advance()
        return name
    }

    private func checkUnique(_ names: [(String, Int)]) throws(IDLError) {
        var seen: Set<String> = []
        for (name, line) in names where !seen.insert(name).inserted {
            throw lexer.error("'\(name)' twice", line: line)
        }
    }

    /// Every type that is named must be defined, though not before.
    private func checkReferences(_ definition: Definition) throws(IDLError) {
        let known = Set(definition.types.map(\.name))
        for field in definition.allFields {
            if case .named(let name) = field.type.innermost, !known.contains(name) {
                throw lexer.error("no type '\(name)' in this interface", line: field.line)
            }
        }
    }
}

extension InterfaceDefinition {
    /// Reads a description text.
    ///
    /// - Parameters:
    ///   - text: the description.
    ///   - file: its name, for errors.
    ///   - strict: refuse what some implementation does not parse (see `CommonSubset`).
    /// - Throws: what is wrong, and in which line.
    public init(parsing text: String, file: String, strict: Bool = true) throws(IDLError) {
        var parser = try IDLParser(text, file: file)
        self = try parser.definition()
        if strict { try CommonSubset(lexer: parser.lexer).check(self) }
    }

    /// All fields at all depths.
    var allFields: [Field] {
        let roots =
            types.map(\.body)
            + (methods.map(\.parameters) + methods.map(\.reply) + errors.map(\.parameters))
            .map(FieldType.structure)
        return roots.flatMap(\.fields)
    }
}

extension InterfaceDefinition.FieldType {
    /// The type without `?`, `[]` and `[string]`.
    public var innermost: Self {
        switch self {
        case .array(let type), .map(let type), .optional(let type): type.innermost
        default: self
        }
    }

    /// The fields within this type, at all depths.
    var fields: [InterfaceDefinition.Field] {
        if case .structure(let fields) = innermost { fields.flatMap { [$0] + $0.type.fields } } else { [] }
    }
}
