public import JSON

/// What a server lets its clients use.
public struct ServerLimits: Sendable {
    /// The longest call, in bytes.
    public var callBytes = 1024 * 1024
    /// How deep a call may be nested, and how many values it may have.
    public var callContent = JSONLimits()
    /// The longest reply, in bytes: what systemd's clients accept.
    public var replyBytes = 16 * 1024 * 1024
    /// Connections at one time, of everyone.
    public var connections = 4096
    /// Connections at one time of one user, root among them.
    public var connectionsPerUser = 128
    /// How many of `connections` are kept free for root.
    public var rootReserve = 64
    /// How many bytes of replies wait for one client before its further calls wait for it.
    public var outputHighWater = 64 * 1024
    /// How many descriptors one connection may have been sent and not have received.
    public var unreadDescriptors = 253
    /// The same of all connections of one user.
    public var unreadDescriptorsPerUser = 1024
    /// How long a client may leave descriptors unreceived before it is cut off.
    public var unreadDescriptorTimeout: Duration = .seconds(30)
    /// The listening sockets' backlog.
    public var backlog: Int32 = 1024

    public init() {}
}
