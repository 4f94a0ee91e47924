import Varlink

// The errors of an interface: one enumeration, a case each.
extension SwiftEmitter {
    mutating func emitFailure() {
        let errors = definition.errors
        source.line()
        source.line("/// The errors that methods of this interface reply with.")
        block("public enum Failure: VarlinkFailure") { emitter in
            for error in errors {
                emitter.source.documentation(error.comment)
                emitter.source.line("case \(memberName(error.name))\(emitter.associatedValues(of: error))")
            }
            emitter.source.line()
            emitter.emitNames(errors)
            emitter.source.line()
            emitter.emitParameterWriting(errors)
            emitter.source.line()
            emitter.emitParameterReading(errors)
            for error in errors { emitter.emitNestedTypes(of: error.parameters, prefix: error.name) }
        }
    }

    private func associatedValues(of error: InterfaceDefinition.ErrorDefinition) -> String {
        guard !error.parameters.isEmpty else { return "" }
        let values = error.parameters.map { field in
            let type = swiftType(of: field, prefix: error.name)
            return "\(memberName(field.name)): \(type)\(field.isOptional ? " = nil" : "")"
        }
        return "(\(values.joined(separator: ", ")))"
    }

    private mutating func emitNames(_ errors: [InterfaceDefinition.ErrorDefinition]) {
        let interface = definition.name
        source.block("public var name: String") { source in
            source.line("switch self {")
            for error in errors { source.line("case .\(memberName(error.name)): \"\(interface).\(error.name)\"") }
            source.line("}")
        }
    }

    private mutating func emitParameterWriting(_ errors: [InterfaceDefinition.ErrorDefinition]) {
        source.block("public func writeParameters(to writer: inout JSONWriter)") { source in
            source.line("switch self {")
            for error in errors {
                guard !error.parameters.isEmpty else {
                    source.line("case .\(memberName(error.name)): EmptyStructure().write(to: &writer)")
                    continue
                }
                let values = error.parameters.indices.map { "let value\($0)" }.joined(separator: ", ")
                source.line("case .\(memberName(error.name))(\(values)):")
                source.indented { source in
                    source.line("writer.object { writer in")
                    source.indented { source in
                        for (index, field) in error.parameters.enumerated() {
                            source.line("writer.field(\"\(field.name)\", value\(index))")
                        }
                    }
                    source.line("}")
                }
            }
            source.line("}")
        }
    }

    private mutating func emitParameterReading(_ errors: [InterfaceDefinition.ErrorDefinition]) {
        let interface = definition.name
        let reads = errors.contains { !$0.parameters.isEmpty }
        let head = "public init?(name: String, parameters: JSONObject) throws(InvalidParameter)"
        source.block(head) { source in
            if reads { source.line("var fields = try FieldReader(.object(parameters), .reply)") }
            source.line("switch name {")
            for error in errors {
                let values = error.parameters.map { field in
                    "\(memberName(field.name)): try fields.\(field.isOptional ? "optional" : "required")"
                        + "(\"\(field.name)\")"
                }
                let arguments = values.isEmpty ? "" : "(\(values.joined(separator: ", ")))"
                source.line("case \"\(interface).\(error.name)\": self = .\(memberName(error.name))\(arguments)")
            }
            source.line("default: return nil")
            source.line("}")
        }
    }
}
