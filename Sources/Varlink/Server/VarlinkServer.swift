public import EventLoop
import Glibc

/// A Varlink service on AF_UNIX sockets: who it is, what it answers, and who is connected.
///
/// Register interfaces and handlers, then `listen`. Everything runs on the event loop's thread.
@LoopActor
public final class VarlinkServer {
    /// What GetInfo tells.
    public struct Identity: Sendable {
        public var vendor: String
        public var product: String
        public var version: String
        public var url: String

        public init(vendor: String, product: String, version: String, url: String) {
            self.vendor = vendor
            self.product = product
            self.version = version
            self.url = url
        }
    }

    /// Something that an operator may want to know.
    public enum Incident: Sendable {
        /// A client was cut off because what it sent is no Varlink.
        case malformed(Peer, CloseReason)
        /// A connection was closed at once: there are too many.
        case tooManyConnections(Peer)
        /// accept(2) has failed with this errno; it is tried again.
        case acceptFailed(errno: Int32)
    }

    public let identity: Identity
    /// What clients may use. Connections that are there stay, when there may be fewer.
    public var limits: ServerLimits { didSet { census.limits = limits } }
    /// Asked before every call whether the client may make it, by the full name of the method; throws what the client is
    /// told if not. nil lets everybody call everything.
    public var authorize: (@LoopActor (Caller, String) throws(ErrorReply) -> Void)?
    /// Called for each incident, on the loop.
    public var onIncident: (@LoopActor (Incident) -> Void)?

    @usableFromInline var methods: [String: Handler] = [:]
    /// What some of these have to be prepared by.
    @usableFromInline var preparations: [String: Preparation] = [:]
    var interfaces: [String: VarlinkInterface] = [:]
    var listeners: [Listener] = []
    var connections: [ObjectIdentifier: Connection] = [:]
    var census: Census
    /// Descriptors that were sent and may not have been received, by user.
    var unreadDescriptors: [UInt32: Int] = [:]
    /// Where input lands before it is copied to the connection that it is for: one for all of them, so that an idle
    /// connection holds none.
    let receiveChunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 64)
    /// Those who wait until nobody is connected.
    var whenEmpty: [Waiter<Void>] = []

    public init(_ identity: Identity, limits: ServerLimits = ServerLimits()) {
        self.identity = identity
        self.limits = limits
        census = Census(limits)
        addServiceInterface()
    }

    isolated deinit {
        for listener in listeners { listener.stop() }
        receiveChunk.deallocate()
    }

    /// How many clients are connected.
    public var connectionCount: Int { connections.count }

    func admit(_ descriptor: Int32) {
        guard let peer = Peer(ofSocket: descriptor) else {
            close(descriptor)
            return
        }
        guard census.admit(peer.uid) else {
            onIncident?(.tooManyConnections(peer))
            close(descriptor)
            return
        }
        let connection = Connection(descriptor, peer, of: self)
        connections[ObjectIdentifier(connection)] = connection
        connection.start()
    }

    func remove(_ connection: Connection) {
        guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        census.dismiss(connection.peer.uid)
        guard connections.isEmpty else { return }
        for waiter in whenEmpty { waiter.resume() }
        whenEmpty = []
    }

    func closed(_ peer: Peer, _ reason: CloseReason) { onIncident?(.malformed(peer, reason)) }

    func hasRoom(forDescriptors count: Int, on connection: Connection) -> Bool {
        // What no limit could ever hold is let through alone, rather than never.
        if connection.unreadDescriptors == 0, unreadDescriptors[connection.peer.uid, default: 0] == 0 { return true }
        return connection.unreadDescriptors + count <= limits.unreadDescriptors
            && unreadDescriptors[connection.peer.uid, default: 0] + count <= limits.unreadDescriptorsPerUser
    }
}
