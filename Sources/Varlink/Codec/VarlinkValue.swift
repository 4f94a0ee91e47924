public import JSON

/// How strictly a value is read.
public enum ReadingMode: Sendable {
    /// A call's parameters: what is not declared is an error.
    case call
    /// A reply: members that are not declared come from a newer service, and are ignored.
    case reply
}

/// A type that Varlink fields can have.
public protocol VarlinkValue: Sendable, Equatable {
    init(reading value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter)

    /// Writes the value as one JSON value.
    func write(to writer: inout JSONWriter)
}

/// A value that is ill-typed, missing, not declared, or out of range, and where it stands.
public struct InvalidParameter: Error, Equatable, Sendable {
    /// The path to the value, such as `groups[2].id`; empty for the whole.
    public private(set) var path: String

    public init(_ path: String = "") { self.path = path.clipped() }

    /// The same fault, seen from outside of the field or element `name`.
    @usableFromInline
    func inside(_ name: String) -> InvalidParameter {
        InvalidParameter(path.isEmpty || path.hasPrefix("[") ? name + path : name + "." + path)
    }
}

extension String {
    /// The text if it is at most 255 bytes, or its beginning. A client may learn what was wrong with its text, but not
    /// have a megabyte of it sent back.
    func clipped() -> String {
        utf8.count <= 255 ? self : String(decoding: utf8.prefix(252), as: UTF8.self) + "..."
    }
}
