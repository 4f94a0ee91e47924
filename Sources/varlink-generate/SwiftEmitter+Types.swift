import Varlink

// Structures and enumerations, and how they are read and written.
extension SwiftEmitter {
    typealias Field = InterfaceDefinition.Field
    typealias FieldType = InterfaceDefinition.FieldType

    mutating func emitType(_ name: String, _ type: FieldType) {
        switch type {
        case .structure(let fields): emitStructure(name, fields)
        case .enumeration(let choices): emitEnumeration(name, choices)
        default: break
        }
    }

    private mutating func emitEnumeration(_ name: String, _ choices: [InterfaceDefinition.Choice]) {
        block("public enum \(name): String, VarlinkValue, CaseIterable") { emitter in
            for choice in choices {
                emitter.source.documentation(choice.comment)
                let member = memberName(choice.name)
                let raw = member == choice.name ? "" : " = \"\(choice.name)\""
                emitter.source.line("case \(member)\(raw)")
            }
        }
    }

    private mutating func emitStructure(_ name: String, _ fields: [Field]) {
        block("public struct \(name): VarlinkValue") { emitter in
            for field in fields {
                emitter.source.documentation(field.comment)
                emitter.source.line("public var \(memberName(field.name)): \(emitter.swiftType(of: field))")
            }
            if !fields.isEmpty { emitter.source.line() }
            emitter.emitInitializer(fields)
            emitter.source.line()
            emitter.emitReading(fields)
            emitter.source.line()
            emitter.emitWriting(fields)
            emitter.emitNestedTypes(of: fields)
        }
    }

    private mutating func emitInitializer(_ fields: [Field]) {
        guard !fields.isEmpty else { return source.line("public init() {}") }
        let parameters = fields.map { "\(memberName($0.name)): \(swiftType(of: $0))\($0.isOptional ? " = nil" : "")" }
        source.block("public init(\(parameters.joined(separator: ", ")))") { source in
            for name in fields.map({ memberName($0.name) }) { source.line("self.\(name) = \(name)") }
        }
    }

    private mutating func emitReading(_ fields: [Field]) {
        let head = "public init(reading value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter)"
        source.block(head) { source in
            guard !fields.isEmpty else { return source.line("_ = try EmptyStructure(reading: value, mode)") }
            source.line("var fields = try FieldReader(value, mode)")
            for field in fields {
                let take = field.isOptional ? "optional" : "required"
                source.line("self.\(memberName(field.name)) = try fields.\(take)(\"\(field.name)\")")
            }
            source.line("try fields.finish()")
        }
    }

    private mutating func emitWriting(_ fields: [Field]) {
        source.block("public func write(to writer: inout JSONWriter)") { source in
            guard !fields.isEmpty else { return source.line("EmptyStructure().write(to: &writer)") }
            source.line("writer.object { writer in")
            source.indented { source in
                for field in fields { source.line("writer.field(\"\(field.name)\", self.\(memberName(field.name)))") }
            }
            source.line("}")
        }
    }

    /// The types that fields define on the spot.
    mutating func emitNestedTypes(of fields: [Field], prefix: String = "") {
        for field in fields {
            guard let name = nestedName(of: field, prefix: prefix) else { continue }
            source.line()
            source.documentation(field.comment)
            emitType(name, field.type.innermost)
        }
    }

    func swiftType(of field: Field, prefix: String = "") -> String {
        swiftType(field.type, nested: nestedName(of: field, prefix: prefix) ?? "EmptyStructure")
    }

    private func nestedName(of field: Field, prefix: String) -> String? {
        switch field.type.innermost {
        case .structure(let fields) where fields.isEmpty: nil
        case .structure, .enumeration: nestedTypeName(prefix + "_" + field.name, avoiding: taken)
        default: nil
        }
    }

    private func swiftType(_ type: FieldType, nested: String) -> String {
        switch type {
        case .bool: "Bool"
        case .int: "Int"
        case .float: "Double"
        case .string: "String"
        case .object: "JSONObject"
        case .any: "JSONValue"
        // Qualified where a method or a nested type could have the same name.
        case .named(let name): "\(namespace).\(name)"
        case .structure, .enumeration: nested
        case .array(let element): "[\(swiftType(element, nested: nested))]"
        case .map(let value): "[String: \(swiftType(value, nested: nested))]"
        case .optional(let type): swiftType(type, nested: nested) + "?"
        }
    }
}

extension InterfaceDefinition.Field {
    var isOptional: Bool { if case .optional = type { true } else { false } }
}
