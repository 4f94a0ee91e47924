import Files
import Glibc
import Varlink

// Exit codes: 0 done, or all files current; 1 stale files; 2 wrong usage or input.

func complain(_ message: String) {
    let line = Array((message + "\n").utf8)
    _ = write(STDERR_FILENO, line, line.count)
}

/// Generates or checks one file; false when it is stale.
func process(_ input: String, _ options: Options) throws -> Bool {
    let text = try readText(input)
    let definition = try InterfaceDefinition(parsing: text, file: input, strict: !options.fullGrammar)
    let file = input.split(separator: "/").last.map(String.init) ?? input
    var emitter = SwiftEmitter(
        definition, description: text, file: file, namespace: options.names[definition.name],
        importsVarlink: !options.withinVarlink)
    let source = emitter.emit()
    switch options.task {
    case .generate(let folder):
        try writeFile(Array(source.utf8), to: "\(folder)/\(definition.name).swift", mode: 0o644)
        return true
    case .check(let folder):
        let path = "\(folder)/\(definition.name).swift"
        let isCurrent = (try? readText(path)) == source
        if !isCurrent { complain("\(path): stale, run varlink-generate") }
        return isCurrent
    }
}

do {
    let options = try Options(Array(CommandLine.arguments.dropFirst()))
    var current = true
    for input in options.inputs { current = try process(input, options) && current }
    exit(current ? 0 : 1)
} catch let error as Options.UsageError {
    complain("varlink-generate: \(error.message)\n\n\(Options.usage)")
    exit(2)
} catch {
    complain("\(error)")
    exit(2)
}
