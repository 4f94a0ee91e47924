// The engine between the host and the API: the registry, kept current from the host; the claims, which it is told of; and
// those who follow both.

import EventLoop
import Files
import Glibc
import Grouping
import Host
import Inventory
import Registry
import Systemd
import Takeover

/// Keeps what is known of a host current, and everybody told of it.
@LoopActor
public final class Keeper {
    /// What is different from one moment to the next.
    public struct Change: Sendable {
        /// What is told, in its order.
        public var events: [GroupEvent]
        /// The groups that may look different, those among them that are gone included. A group may change in what no
        /// event tells, such as the numbers of its kernel groups.
        public var groups: Set<GroupID>
    }

    /// The machine that is kept track of.
    public let host: any Host
    /// The claims.
    public let takeover: Takeover
    /// The explainer of the present groups.
    public let explainers = ExplainerCache()
    private var registry: Registry
    private let onReport: @LoopActor (String) -> Void
    private var observers: [@LoopActor (Change) -> Void] = []
    /// How many readings of the host were begun, and which of them was the last to be taken in.
    private var readings = 0
    private var lastReading = 0

    /// What the host uses, as it was last looked up.
    let useTable: UseTable
    /// Whether that is kept current.
    var followsUses = false

    /// What is kept for the administrator; nil before `keepReservations`.
    var reservations: Reservations?
    /// What was different at the start from the last boot; nil where no earlier boot is remembered.
    public internal(set) var lastBoot: BootComparison?
    /// Where boots are remembered; nil where they are not.
    var memory: BootMemory?

    /// Called with what an administrator should find in the journal.
    public var onMessage: (@LoopActor (JournalMessage) -> Void)?
    /// Called when what is going on with claims may have changed, though no event tells of it.
    public var onActivity: (@LoopActor () -> Void)?

    /// Takes up the claims of a journal, and lets more be made.
    ///
    /// - Parameters:
    ///   - host: the machine.
    ///   - registry: what was read of it.
    ///   - journal: where claims are on record.
    ///   - store: what outlives the daemon beside the journal; nil where nothing does.
    ///   - left: what came back from the store.
    ///   - timing: how long things may take.
    ///   - onReport: called with what an operator should know.
    /// - Throws: why the journal cannot be read.
    public init(
        of host: any Host, _ registry: Registry, journal: any ClaimJournal, store: (any DescriptorStore)? = nil,
        left: [StoredDescriptor] = [], timing: TakeoverTiming = TakeoverTiming(),
        onReport: @escaping @LoopActor (String) -> Void
    ) throws(FileFailure) {
        self.host = host
        self.registry = registry
        self.onReport = onReport
        takeover = Takeover(host, journal: journal, store: store, timing: timing, snapshot: registry.snapshot)
        useTable = UseTable(of: host) { Int(time(nil)) }
        try takeover.recover(left, for: self)
        setUpUseTable()
    }

    /// What is known now.
    public var snapshot: Snapshot { registry.snapshot }

    /// Has somebody told of every change from now on, after those who asked before.
    public func observe(_ observer: @escaping @LoopActor (Change) -> Void) { observers.append(observer) }

    /// Ends all work for claims, and leaves them on record for the next daemon.
    public func stop() {
        reservations?.stop()
        useTable.stop()
        takeover.stop()
    }

    /// Reads the host again whenever it may have changed, until the task is cancelled.
    ///
    /// - Throws: why the host cannot be read any more.
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

    /// Takes a new inventory in.
    public func update(_ inventory: Inventory) {
        let before = snapshot
        publish(registry.update(inventory).map { .registry($0) }, since: before)
        if snapshot.generation != before.generation { usesMayHaveChanged() }
        takeover.hostChanged()
        claimsMayHaveMoved()
    }

    /// Hands a message to who writes the journal.
    func tell(_ message: JournalMessage) { onMessage?(message) }

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

    /// The uses of groups are not as they were.
    func tellOfUses(of groups: Set<GroupID>) {
        guard !groups.isEmpty else { return }
        let change = Change(events: [], groups: groups)
        for observer in observers { observer(change) }
    }

    private func claimsMayHaveMoved() {
        reservations?.lookAgain()
        onActivity?()
    }

    private func publish(_ events: [GroupEvent], since before: Snapshot) {
        var groups = Set(snapshot.groupsChanged(since: before))
        let claims = Set(events.compactMap(\.claim))
        if !claims.isEmpty {
            groups.formUnion(
                snapshot.groups.lazy.filter { $0.claim.map(claims.contains) ?? false }.map(\.id))
        }
        guard !events.isEmpty || !groups.isEmpty else { return }
        let change = Change(events: events, groups: groups)
        for observer in observers { observer(change) }
    }
}

/// What the takeover asks of whoever keeps the registry, and tells it.
extension Keeper: RegistryKeeper {
    public func refresh() async {
        // When it cannot be read, that is noticed and told where it is followed.
        do throws(HostError) { try await readHost() } catch {}
    }

    public func claimsChanged(_ events: [ClaimEvent]) {
        let before = snapshot
        let changes = registry.hold(takeover.holdings)
        publish(
            changes.map { .registry($0) } + events.map { .claim($0, generation: snapshot.generation) }, since: before)
        claimsMayHaveMoved()
    }

    public func keepIdentities(of groups: [KnownGroup]) { registry.keepIdentities(of: groups) }

    public func devicesWereAccepted() {
        saveAccepted()
        usesMayHaveChanged()
    }

    public func unit(of process: ProcessIdentity) -> String? {
        process.controlGroups.flatMap { SystemUnit(cgroup: $0) }?.name
    }

    public func report(_ message: String) { onReport(message) }
}
