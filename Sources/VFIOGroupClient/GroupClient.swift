// The client of the daemon: what a program makes once, and calls from any task.

import GroupAPI

/// A client of vfiogroupd.
///
/// It is a value without state of its own that shows: any task on any executor may call it, and several at once. Each
/// call has a connection of its own. Cancelling the task of a call closes that connection, by which the daemon knows
/// that nobody waits any more, and the call throws `CancellationError`. All other errors are `GroupClientError`.
///
/// The first call starts the one thread that all calls of the process wait on.
public struct GroupClient: Sendable {
    /// The paths of the sockets that are tried, in this order; a leading `@` is the abstract name space.
    public let sockets: [String]

    /// Where short calls wait when there are many: the daemon closes what a user opens beyond 128 connections.
    let turns = Turns(limit: 16)

    /// Makes a client, which connects when it is called.
    ///
    /// - Parameter socket: the path of the daemon's socket; nil for the usual places, a daemon that this user started
    ///   before the system's.
    public init(socket: String? = nil) {
        sockets = socket.map { [$0] } ?? SocketPath.candidates
    }
}
