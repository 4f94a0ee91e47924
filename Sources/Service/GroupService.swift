// The daemon's side of the API: the registry, kept current from its host, and who watches it.

import Config
public import EventLoop
import Files
import Glibc
import GroupAPI
import Grouping
import Host
import Inventory
import JSON
import Registry
import Systemd
import Takeover
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
    /// How many readings of the host were begun, and which of them was the last to be taken in.
    private var readings = 0
    private var lastReading = 0
    /// The claims; nil where nothing can be claimed.
    public private(set) var takeover: Takeover?
    /// What the operator says; `apply` and `reconfigure` change it.
    var configuration = Configuration()
    /// What was said at the start: what counts from the next start on is told by the difference.
    var configurationOfStart = Configuration()
    /// What is kept for the administrator; nil before `keepReservations`.
    var reservations: Reservations?
    /// Whose limits and guard follow the configuration.
    weak var server: VarlinkServer?
    /// Root, and who the daemon runs as: they may do everything.
    var administrators: Set<UInt32> = [0, UInt32(geteuid())]
    /// Owners of claims that are asked for and not made yet.
    var claimsAsked: [UInt32] = []
    /// Called with what an administrator should find in the journal.
    public var onMessage: (@LoopActor (JournalMessage) -> Void)?
    /// Called when what is going on with claims may have changed, though no event tells of it.
    public var onActivity: (@LoopActor () -> Void)?
    /// Reads the configuration anew and takes it over; whether released reservations are taken again. nil where there is
    /// nothing to read.
    public var reload: (@LoopActor (_ reserveAgain: Bool) throws(ConfigurationError) -> Reconfiguration)?

    /// The tree of folders that shows the groups; nil where none is kept.
    public internal(set) var tree: GroupTree?
    /// What was different at the start from the last boot; nil where no earlier boot is remembered.
    public internal(set) var lastBoot: BootComparison?
    /// Where boots are remembered; nil where they are not.
    var memory: BootMemory?

    /// Called after every change of the registry, on the loop.
    public var onChange: (@LoopActor ([GroupEvent]) -> Void)?

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
        writer.list(snapshot.groups.lazy.map { Groups.Group($0) }, as: "groups")
    }

    /// Has `server` answer the interfaces.
    public func register(on server: VarlinkServer) {
        self.server = server
        limitServer()
        registerGroups(on: server)
        registerManager(on: server)
        if let takeover { registerClaims(of: takeover, on: server) }
    }

    /// Takes up the claims of a journal, and lets more be made. What `left` holds came back from the store.
    public func beginTakeover(
        journal: any ClaimJournal, store: (any DescriptorStore)? = nil, left: [StoredDescriptor] = [],
        timing: TakeoverTiming? = nil, onReport: @escaping @LoopActor (String) -> Void
    ) throws(FileFailure) {
        let takeover = Takeover(host, journal: journal, store: store, snapshot: { [unowned self] in snapshot })
        takeover.timing.take(configuration.timing)
        if let timing { takeover.timing = timing }
        takeover.onChange = { [unowned self] events in claimsChanged(events) }
        takeover.onReport = onReport
        takeover.refresh = { [unowned self] in await refresh() }
        self.takeover = takeover
        try takeover.recover(left)
    }

    /// Ends all work for claims, and leaves them on record for the next daemon.
    public func stopClaiming() {
        reservations?.stop()
        takeover?.stop()
    }

    /// How many reservations do not have their group, and are meant to.
    public var reservationsMissing: Int { reservations?.missing ?? 0 }

    private func claimsChanged(_ events: [ClaimEvent]) {
        let before = snapshot
        let changes = registry.hold(takeover?.holdings ?? [:])
        publish(
            changes.map { .registry($0) } + events.map { .claim($0, generation: snapshot.generation) }, since: before)
        reservations?.lookAgain()
        onActivity?()
    }

    /// Reads the host again whenever it may have changed, until the task is cancelled or the host cannot be read.
    public func followHost() async throws(HostError) {
        while true {
            do throws(LoopError) {
                try await host.awaitChange()
                // Changes come in bursts (a driver's unbind is five uevents): one reading serves them all.
                try await EventLoop.main.sleep(for: .milliseconds(20))
            } catch { return }
            try await readHost()
        }
    }

    /// Reads the host and takes in what was read, unless a reading that began later was taken in meanwhile: an older one
    /// shows members of a claim as they were before they were taken.
    private func readHost() async throws(HostError) {
        readings += 1
        let reading = readings
        let inventory = try await host.readInventory()
        guard reading > lastReading else { return }
        lastReading = reading
        update(inventory)
    }

    /// Ends all monitors, so that a server that stops need not wait for them.
    public func endMonitors() { monitors.close() }

    /// Reads the host again now.
    private func refresh() async {
        // When it cannot be read, that is noticed and told where it is followed.
        do throws(HostError) { try await readHost() } catch {}
    }

    /// Takes a new inventory in.
    func update(_ inventory: Inventory) {
        let before = snapshot
        publish(registry.update(inventory).map { .registry($0) }, since: before)
        takeover?.hostChanged()
        reservations?.lookAgain()
        onActivity?()
    }

    private func publish(_ events: [GroupEvent], since before: Snapshot) {
        // A group may change in what no event tells, such as the numbers of its kernel groups.
        tree?.update(snapshot.groupsChanged(since: before))
        guard !events.isEmpty else { return }
        let claims = Set(events.compactMap(\.claim))
        if let tree, !claims.isEmpty {
            tree.update(snapshot.groups.lazy.filter { $0.claim.map(claims.contains) ?? false }.map(\.id))
        }
        monitors.publish(events)
        onChange?(events)
    }
}
