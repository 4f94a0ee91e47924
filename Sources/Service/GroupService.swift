// The daemon's side of the API: the registry, kept current from its host, and who watches it.

import EventLoop
import GroupAPI
import Grouping
import Host
import JSON
import Registry
import Varlink

/// Answers io.vfiogroupd.Groups and io.vfiogroupd.Manager.
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
    /// The machine that is served.
    public let host: any Host
    let monitors = Monitors()
    let cache = ReplyCache()
    let explainers = ExplainerCache()
    private var registry: Registry

    /// Called after every change of the registry, on the loop.
    public var onChange: (@LoopActor ([RegistryEvent]) -> Void)?

    /// Reads the host and builds the registry.
    public init(_ identity: Identity, host: any Host, policy: BackendPolicy) async throws(HostError) {
        self.identity = identity
        self.host = host
        registry = Registry(try await host.readInventory(), policy: policy)
    }

    /// What is known now.
    public var snapshot: Snapshot { registry.snapshot }

    /// Writes all groups, as a ListGroups call without `more` is answered.
    public func writeAllGroups(to writer: inout JSONWriter) {
        writer.list(snapshot.groups.lazy.map(Groups.Group.init), as: "groups")
    }

    /// Has `server` answer the interfaces.
    public func register(on server: VarlinkServer) {
        registerGroups(on: server)
        registerManager(on: server)
    }

    /// Reads the host again whenever it may have changed, until the task is cancelled or the host cannot be read.
    public func followHost() async throws(HostError) {
        while true {
            do throws(LoopError) {
                try await host.awaitChange()
                // Changes come in bursts (a driver's unbind is five uevents): one reading serves them all.
                try await EventLoop.main.sleep(for: .milliseconds(20))
            } catch { return }
            update(try await host.readInventory())
        }
    }

    /// Ends all monitors, so that a server that stops need not wait for them.
    public func endMonitors() { monitors.close() }

    /// Takes a new inventory in.
    func update(_ inventory: Inventory) {
        let events = registry.update(inventory)
        guard !events.isEmpty else { return }
        monitors.publish(events)
        onChange?(events)
    }
}
