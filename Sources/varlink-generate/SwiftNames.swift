import Varlink

// How names of the definition language are called in Swift.

/// `client_id` and `clientId` become `clientId`, `URLPrefix` becomes `urlPrefix`; a keyword gets its backticks.
func memberName(_ name: String) -> String {
    let words = name.split(separator: "_")
    let joined = words.enumerated().map { $0 == 0 ? lowerFirst(String($1)) : upperFirst(String($1)) }.joined()
    if joined == "self" { return "self_" }
    return keywords.contains(joined) ? "`\(joined)`" : joined
}

/// The name of a nested type for the field `name`, unless that would hide a type that the file refers to.
func nestedTypeName(_ name: String, avoiding taken: Set<String>) -> String {
    let type = name.split(separator: "_").map { upperFirst(String($0)) }.joined()
    return taken.contains(type) || hidden.contains(type) ? type + "Value" : type
}

/// The enumeration that stands for an interface: its last word.
func namespaceName(_ interface: String) -> String {
    upperFirst(String(interface.split(separator: ".").last ?? "Interface"))
}

private func upperFirst(_ name: String) -> String { name.prefix(1).uppercased() + name.dropFirst() }

/// An upper-case run at the start is one word, but its last letter begins the next.
private func lowerFirst(_ name: String) -> String {
    let run = name.prefix { $0.isUppercase }
    let lowered =
        run.count > 1 && run.count < name.count && name.dropFirst(run.count).first?.isLowercase == true
        ? run.count - 1 : run.count
    return name.prefix(lowered).lowercased() + name.dropFirst(lowered)
}

/// What generated code refers to, and a nested type of that name would hide.
private let hidden: Set<String> = [
    "Array", "Bool", "Dictionary", "Double", "EmptyStructure", "Failure", "FieldReader", "Int", "InvalidParameter",
    "JSONObject", "JSONValue", "JSONWriter", "Optional", "Parameters", "Protocol", "ReadingMode", "Reply", "Self",
    "Set", "String", "Type", "VarlinkFailure", "VarlinkInterface", "VarlinkMethod", "VarlinkValue", "Any",
]

private let keywords: Set<String> = [
    "as", "associatedtype", "break", "case", "catch", "class", "continue", "default", "defer", "deinit", "do", "else",
    "enum", "extension", "fallthrough", "false", "fileprivate", "for", "func", "guard", "if", "import", "in", "init",
    "inout", "internal", "is", "let", "nil", "operator", "precedencegroup", "private", "protocol", "public", "repeat",
    "rethrows", "return", "static", "struct", "subscript", "super", "switch", "throw", "throws", "true", "try",
    "typealias", "var", "where", "while",
]
