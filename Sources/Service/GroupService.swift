// The API of the daemon: what clients ask of the keeper, and what the configuration lets them.

import Config
import EventLoop
import Glibc
import Grouping
import Host
import JSON
import Keeper
import Registry
import Systemd
import Takeover
import Varlink

/// Answers io.vfiogroupd.Groups, io.vfiogroupd.Claims and io.vfiogroupd.Manager.
@LoopActor
public final class GroupService {
    /// What the daemon says of itself.
    public struct Identity: Sendable {
        /// The version of the daemon.
        public var version: String
        /// Whether its host is a simulation.
        public var isSimulated: Bool

        public init(version: String, isSimulated: Bool) {
            self.version = version
            self.isSimulated = isSimulated
        }
    }

    let identity: Identity
    let keeper: Keeper
    let server: VarlinkServer
    let monitors = Monitors()
    let cache = ReplyCache()
    /// What the operator says; `reconfigure` changes it.
    var configuration: Configuration
    /// What was said at the start: what counts from the next start on is told by the difference.
    let configurationOfStart: Configuration
    /// Root, and who the daemon runs as: they may do everything.
    var administrators: Set<UInt32> = [0, UInt32(geteuid())]
    /// Owners of claims that are asked for and not made yet.
    var claimsAsked: [UInt32] = []
    /// Called with what an administrator should find in the journal.
    public var onMessage: (@LoopActor (JournalMessage) -> Void)?
    /// Reads the configuration anew and takes it over; whether released reservations are taken again. nil where there is
    /// nothing to read.
    public var reload: (@LoopActor (_ reserveAgain: Bool) throws(ConfigurationError) -> Reconfiguration)?

    /// Has a server answer the interfaces, within the limits of the configuration.
    ///
    /// - Parameters:
    ///   - identity: what the daemon says of itself.
    ///   - keeper: what it answers from.
    ///   - configuration: what the operator says.
    ///   - server: does not listen yet.
    public init(_ identity: Identity, of keeper: Keeper, _ configuration: Configuration, on server: VarlinkServer) {
        self.identity = identity
        self.keeper = keeper
        self.server = server
        self.configuration = configuration
        configurationOfStart = configuration
        limitServer()
        registerGroups()
        registerClaims()
        registerManager()
        keeper.observe { [weak self] change in self?.monitors.publish(change.events) }
    }

    var snapshot: Snapshot { keeper.snapshot }
    var takeover: Takeover { keeper.takeover }

    /// Ends all monitors, so that a server that stops need not wait for them.
    public func endMonitors() { monitors.close() }

    /// Hands a message to who writes the journal.
    func tell(_ message: JournalMessage) { onMessage?(message) }
}
