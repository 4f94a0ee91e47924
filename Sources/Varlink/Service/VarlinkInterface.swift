public import JSON

/// An interface as a service has it: its name, the text that describes it, and the methods that the text defines.
public struct VarlinkInterface: Sendable, Equatable {
    public let name: String
    /// The definition, comments and all, as clients get it.
    public let description: String
    /// The names of the methods, without the interface's.
    public let methods: [String]

    public init(name: String, description: String, methods: [String]) {
        self.name = name
        self.description = description
        self.methods = methods
    }
}

/// A method, with the types of what goes in and comes out. Made by varlink-generate.
public protocol VarlinkMethod: Sendable {
    associatedtype Parameters: VarlinkValue
    associatedtype Reply: VarlinkValue

    /// The full name, `INTERFACE.METHOD`.
    static var name: String { get }
}

/// The errors that an interface defines. Made by varlink-generate.
public protocol VarlinkFailure: Error, Sendable, Equatable {
    /// The full name, `INTERFACE.ERROR`.
    var name: String { get }

    /// Writes the error's parameters as one object.
    func writeParameters(to writer: inout JSONWriter)

    /// The error that a service replied with; nil when this interface has no such error.
    init?(name: String, parameters: JSONObject) throws(InvalidParameter)
}
