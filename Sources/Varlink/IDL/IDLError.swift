/// Where and why a text is no interface definition.
public struct IDLError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file's name as it was given.
    public let file: String
    /// Counted from 1.
    public let line: Int
    public let message: String

    public init(file: String, line: Int, message: String) {
        self.file = file
        self.line = line
        self.message = message
    }

    /// `FILE:LINE: MESSAGE`, as editors and CI logs know how to follow.
    public var description: String { "\(file):\(line): \(message)" }
}
