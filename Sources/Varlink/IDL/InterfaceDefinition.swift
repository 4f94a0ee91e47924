/// An interface as its description text defines it (UAPI.20 "Interface Definition").
public struct InterfaceDefinition: Sendable, Equatable {
    /// The reverse-domain name.
    public var name: String
    /// The comment above the `interface` line.
    public var comment: Comment
    public var types: [TypeDefinition]
    public var methods: [MethodDefinition]
    public var errors: [ErrorDefinition]

    /// The lines of a documentation comment, each without its `#` and the space behind.
    public typealias Comment = [String]

    /// `type Name (...)`.
    public struct TypeDefinition: Sendable, Equatable {
        public var name: String
        public var comment: Comment
        /// A structure or an enumeration.
        public var body: FieldType
        public var line: Int
    }

    /// `method Name(...) -> (...)`.
    public struct MethodDefinition: Sendable, Equatable {
        public var name: String
        public var comment: Comment
        public var parameters: [Field]
        public var reply: [Field]
        public var line: Int
    }

    /// `error Name (...)`.
    public struct ErrorDefinition: Sendable, Equatable {
        public var name: String
        public var comment: Comment
        public var parameters: [Field]
        public var line: Int
    }

    /// A field of a structure, of a method's parameters or reply, or of an error.
    public struct Field: Sendable, Equatable {
        public var name: String
        public var comment: Comment
        public var type: FieldType
        public var line: Int
    }

    /// A value of an enumeration.
    public struct Choice: Sendable, Equatable {
        public var name: String
        public var comment: Comment
        public var line: Int
    }

    /// What a field holds.
    public indirect enum FieldType: Sendable, Equatable {
        case bool, int, float, string, object, any
        /// A type of this interface.
        case named(String)
        case structure([Field])
        case enumeration([Choice])
        case array(FieldType)
        case map(FieldType)
        case optional(FieldType)
    }
}
