// What the daemon is told by its operator: a plain value, already checked, with a default for everything.

public import PCI

/// The settings of the daemon. A value that nobody set is at its default.
public struct Configuration: Sendable, Equatable {
    /// Where the API is served, `Socket=`: an absolute path that fits a socket address. nil: nobody said, and the
    /// daemon takes `defaultSocket`, or a private place when it does not run as root.
    public var socket: String?
    /// What decides the groups of a host bridge that has no section of its own, `Backend=`.
    public var backend = BackendChoice.auto
    /// What decides the groups of the host bridges that have one, `[HostBridge pciDDDD:BB]`.
    public var hostBridges: [HostBridgeID: BackendChoice] = [:]
    /// Where what must outlive a boot is kept, `StateDirectory=`: an absolute path. nil: nobody said, and the daemon
    /// takes `defaultStateDirectory`, or a private place when it does not run as root.
    public var stateDirectory: String?
    /// How long things may take, `[Timing]`.
    public var timing = Timing()
    /// How much clients may use, `[Limits]`.
    public var limits = Limits()
    /// Who may do what, `[Access]`.
    public var access = AccessPolicy()
    /// What is kept for an administrator, `[Reservation NAME]`, in the order in which the names first appear.
    public var reservations: [Reservation] = []

    /// The socket of a daemon that runs as root.
    public static let defaultSocket = "/run/vfiogroupd/io.vfiogroupd"
    /// The state directory of a daemon that runs as root.
    public static let defaultStateDirectory = "/var/lib/vfiogroupd"

    /// Everything at its default.
    public init() {}
}

/// A backend as an operator names it. The raw value is the word in the file and on the command line.
public enum BackendChoice: String, Sendable, CaseIterable {
    /// The daemon chooses for each host bridge.
    case auto
    /// The kernel's IOMMU groups as they stand.
    case kernel
    /// Everything below a host bridge is one group.
    case hostBridge = "host_bridge"
    /// POWER's partitionable endpoints.
    case partitionableEndpoint = "partitionable_endpoint"
    /// What the kernel's groups would be by its own rules; to look at, not to claim from.
    case predicted
}

/// How long things may take. What each means for a claim is told in Takeover.
public struct Timing: Sendable, Equatable {
    /// When a call into the kernel that has not returned is shown as blocked, `BlockedAfterSec=`.
    public var blockedAfter = Duration.seconds(2)
    /// How long taking groups may take before the claim fails, `TakeoverTimeoutSec=`.
    public var takeoverTimeout = Duration.seconds(30)
    /// How long a node in /dev may be late, `NodeTimeoutSec=`.
    public var nodeTimeout = Duration.seconds(5)
    /// How long it is waited for a program that is to open nodes in /dev, `ConsumerTimeoutSec=`; nil for as long as the
    /// claim's owner lives.
    public var consumerTimeout: Duration? = .seconds(300)
    /// The pause before a restore is tried again, `FirstRetrySec=`; it doubles with every try...
    public var firstRetry = Duration.seconds(1)
    /// ... up to this, `LastRetrySec=`.
    public var lastRetry = Duration.seconds(60)

    public init() {}
}

/// How much clients may use of the daemon.
public struct Limits: Sendable, Equatable {
    /// Connections at one time, `Connections=`.
    public var connections = 4096
    /// Connections at one time of one user, `ConnectionsPerUser=`.
    public var connectionsPerUser = 128
    /// Claims at one time, `Claims=`.
    public var claims = 1024
    /// Claims at one time of one user that is not root, `ClaimsPerUser=`.
    public var claimsPerUser = 64

    /// Connections that are kept free for root; `Connections=` must leave room for others.
    public static let rootReserve = 64

    public init() {}
}
