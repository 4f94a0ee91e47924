/// What the command line asks for.
struct Options {
    enum Task {
        /// Write the files into this folder.
        case generate(folder: String)
        /// Say which files in this folder are not as they would be written.
        case check(folder: String)
    }

    var inputs: [String] = []
    var task: Task
    /// Names for interfaces whose last word will not do, by interface.
    var names: [String: String] = [:]
    /// The files become part of the module Varlink.
    var withinVarlink = false
    /// Take all of UAPI.20's grammar, not only what every implementation parses.
    var fullGrammar = false

    static let usage = """
        usage: varlink-generate IN.varlink... (--output FOLDER | --check FOLDER) [OPTION...]

        Writes FOLDER/INTERFACE.swift for each interface definition, or with --check names the files that are
        stale or missing and exits with 1.

          --name INTERFACE=NAME  call the interface's enumeration NAME instead of its last word
          --full-grammar         accept what not every Varlink implementation parses
          --within-varlink       the files become part of the module Varlink itself
        """

    struct UsageError: Error { let message: String }

    init(_ arguments: [String]) throws(UsageError) {
        var rest = arguments[...]
        var task: Task?
        while let argument = rest.popFirst() {
            switch argument {
            case "--output": task = .generate(folder: try Self.value(of: argument, &rest))
            case "--check": task = .check(folder: try Self.value(of: argument, &rest))
            case "--within-varlink": withinVarlink = true
            case "--full-grammar": fullGrammar = true
            case "--name":
                let parts = try Self.value(of: argument, &rest).split(separator: "=").map(String.init)
                guard parts.count == 2 else { throw UsageError(message: "--name wants INTERFACE=NAME") }
                names[parts[0]] = parts[1]
            case _ where argument.hasPrefix("-"): throw UsageError(message: "unknown option \(argument)")
            default: inputs.append(argument)
            }
        }
        guard let task else { throw UsageError(message: "neither --output nor --check") }
        guard !inputs.isEmpty else { throw UsageError(message: "no interface definition") }
        self.task = task
    }

    private static func value(of option: String, _ rest: inout ArraySlice<String>) throws(UsageError) -> String {
        guard let value = rest.popFirst() else { throw UsageError(message: "\(option) wants a value") }
        return value
    }
}
