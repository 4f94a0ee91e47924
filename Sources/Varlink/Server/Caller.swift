import EventLoop

/// The client of a connection, as far as the kernel vouches for it.
public struct Caller: Sendable {
    private let connection: Connection

    init(_ connection: Connection) { self.connection = connection }

    /// Who made the connection.
    public var peer: Peer { connection.peer }

    /// The supplementary groups that the peer had when it connected; none when the connection is closed.
    @LoopActor public var groups: [UInt32] { connection.peerGroups }

    /// The process that made the connection; nil when it has ended, or no descriptor is free.
    @LoopActor public func openProcess() -> PeerProcess? { connection.openPeerProcess() }
}
