/// Why a text is not JSON, or not JSON that Varlink allows.
public struct JSONSyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Where, in bytes from the start of the text.
    public let offset: Int
    /// What is wrong there.
    public let reason: String

    public init(offset: Int, reason: String) {
        self.offset = offset
        self.reason = reason
    }

    public var description: String { "\(reason) at offset \(offset)" }
}
