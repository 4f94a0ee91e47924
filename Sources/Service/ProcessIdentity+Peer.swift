// Which process made a connection.

import EventLoop
import Host
import Varlink

extension ProcessIdentity {
    /// The process that made a connection; nil when it has ended.
    @LoopActor
    init?(of peer: borrowing PeerProcess) {
        guard let identity = peer.reading({ ProcessIdentity(of: $0) }),
            identity.startTime <= peer.latestStart ?? .max
        else { return nil }
        self = identity
    }
}
