// What the daemon is told by its operator: a plain value, already checked, with a default for everything.

/// The settings of the daemon. A value that nobody set is at its default.
public struct Configuration: Sendable, Equatable {
    /// Where the API is served, `Socket=`: an absolute path that fits a socket address. nil: nobody said, and the
    /// daemon takes `defaultSocket`, or a private place when it does not run as root.
    public var socket: String?
    /// What decides the groups of a host bridge, `Backend=`.
    public var backend: BackendChoice
    /// Where what must outlive a boot is kept, `StateDirectory=`: an absolute path. nil: nobody said, and the daemon
    /// takes `defaultStateDirectory`, or a private place when it does not run as root.
    public var stateDirectory: String?

    /// The socket of a daemon that runs as root.
    public static let defaultSocket = "/run/vfiogroupd/io.vfiogroupd"
    /// The state directory of a daemon that runs as root.
    public static let defaultStateDirectory = "/var/lib/vfiogroupd"

    /// Everything at its default.
    public init() {
        socket = nil
        backend = .auto
        stateDirectory = nil
    }
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
