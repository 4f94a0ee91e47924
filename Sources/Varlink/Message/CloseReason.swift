public import JSON

/// Why a connection is closed without a reply: the peer's input is no Varlink, so that there is nothing to reply to.
public enum CloseReason: Error, Equatable, Sendable {
    case messageTooLong(limit: Int)
    case syntax(JSONSyntaxError)
    /// The message is no object, or a member of its header has the wrong type.
    case malformed(member: String)
    case duplicateMember(String)
    case unknownMember(String)
    /// More than one of oneway, more and upgrade.
    case conflictingFlags
    /// A reply's `continues` that the call did not ask for, or on an error.
    case unexpectedContinues
    /// The peer closed in the middle of a message.
    case truncatedMessage
}
