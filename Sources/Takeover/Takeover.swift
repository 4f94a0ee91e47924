// The only room that changes the host. It owns the claims, their journal and their work; what it did comes back through
// the host as an event, like anything else that happens there.

public import EventLoop
import Files
import Glibc
import Grouping
import Host
import Inventory
import PCI
import Registry

/// Claims groups, watches over them, and gives them back.
@LoopActor
public final class Takeover {
    let host: any Host
    let journal: any ClaimJournal
    /// How long things may take from now on.
    public var timing: TakeoverTiming
    /// What outlives the daemon beside the journal; nil where nothing does.
    let store: (any DescriptorStore)?
    /// Makes the bits of a claim's identity.
    public var randomBits: @LoopActor () -> UInt64 = { UInt64.random(in: 0 ... .max) }
    /// Who keeps the registry: it owns this. nil before `recover` and after `stop`.
    weak var keeper: (any RegistryKeeper)?
    private var lastSnapshot: Snapshot

    /// Which devices are meant by their places: others are claimed only by force, and are the ones that are meant from
    /// then on.
    public var knownDevices = KnownDevices()

    var claims: [String: ActiveClaim] = [:]
    var quarantines: [GroupID: String] = [:]
    /// What of the journal was set aside at the start.
    public internal(set) var problems: [String] = []
    /// Signalled whenever something about a claim changes.
    let condition = Condition()
    /// How long the host had slept when it was last looked.
    var timeAsleep: Duration
    var consumerTask: Task<Void, Never>?
    /// Looks at members.
    var memberTask: Task<Void, Never>?
    /// Those who wait for a worker, whoever asked them to.
    var waits: Set<Task<CallOutcome?, Never>> = []
    private(set) var isStopped = false

    /// A takeover of a host, with an empty set of claims until `recover`.
    public init(
        _ host: any Host, journal: any ClaimJournal, store: (any DescriptorStore)? = nil,
        timing: TakeoverTiming = TakeoverTiming(), snapshot: Snapshot
    ) {
        self.host = host
        self.journal = journal
        self.timing = timing
        self.store = store
        lastSnapshot = snapshot
        timeAsleep = host.timeAsleep
    }

    /// What is known of the host now.
    public var snapshot: Snapshot { keeper?.snapshot ?? lastSnapshot }

    /// Ends all work and leaves everything as it is on record: the next daemon goes on.
    public func stop() {
        isStopped = true
        consumerTask?.cancel()
        memberTask?.cancel()
        for claim in claims.values { claim.stop() }
        for wait in waits { wait.cancel() }
        condition.signal()
        // They refer to this; what is on record of them is the journal's. Whoever is still on their way out asks nobody
        // any more.
        claims = [:]
        lastSnapshot = snapshot
        keeper = nil
    }

    /// Which groups are in whose hands.
    public var holdings: [GroupID: Holding] {
        var holdings: [GroupID: Holding] = [:]
        for (group, reason) in quarantines {
            holdings[group] = Holding(claim: nil, state: .quarantined(reason: reason))
        }
        for claim in claims.values {
            for group in claim.record.groups {
                // What has split off, or was joined with another claim's, is called otherwise.
                for id in Set(group.pending.compactMap { snapshot.group(of: $0)?.id }) where holdings[id] == nil {
                    holdings[id] = Holding(claim: claim.id, state: claim.state(of: group))
                }
            }
        }
        for claim in claims.values {
            for group in claim.record.groups {
                holdings[group.id] = Holding(claim: claim.id, state: claim.state(of: group))
            }
        }
        return holdings
    }

    /// What is going on with groups, of those with which something is.
    public var operations: [GroupID: GroupOperation] {
        var operations: [GroupID: GroupOperation] = [:]
        for claim in claims.values {
            for (group, work) in claim.work where work.step != nil {
                operations[group] = ClaimProgress(claim, group)?.operation
            }
        }
        return operations
    }

    /// How many claims there are.
    public var claimCount: Int { claims.count }

    /// The claim of this identity, or the one of this name when there is only one.
    func claim(named text: String) throws(TakeoverError) -> ActiveClaim {
        if let claim = claims[text] { return claim }
        let named = claims.values.filter { $0.record.name == text }
        guard let claim = named.first, named.count == 1 else { throw .noSuchClaim(text) }
        return claim
    }

    /// Takes in that the host changed.
    public func hostChanged() {
        for claim in claims.values { claim.hostChanged() }
        condition.signal()
    }

    /// Something about a claim changed.
    func changed(_ events: [ClaimEvent] = []) {
        keeper?.claimsChanged(events)
        condition.signal()
        watchMembers()
    }

    /// Tells of a claim.
    func publish(_ change: ClaimEvent.Change, _ claim: ActiveClaim, cause: String) {
        changed([ClaimEvent(claim: claim.id, change: change, cause: cause)])
    }

    /// The claim on whose record a device is that is not back with the host, besides one.
    func claim(of device: DeviceAddress, besides own: ActiveClaim? = nil) -> ActiveClaim? {
        claims.values.first { $0 !== own && $0.record.groups.contains { $0.pending.contains(device) } }
    }

    func report(_ message: String) { keeper?.report(message) }

    /// Seconds since 1970.
    func wallClock() -> Int { Int(time(nil)) }

    /// A group may not be claimed any more.
    func quarantine(_ group: GroupID, reason: String, by claim: ActiveClaim) {
        quarantines[group] = reason
        let members = claim[group]?.members.map(\.address) ?? []
        do throws(FileFailure) {
            try journal.setQuarantine(Quarantine(reason: reason, members: members), of: group)
        } catch {
            report("the quarantine of group \(group): \(error)")
        }
        publish(.quarantined(group), claim, cause: "\(reason); the group is in quarantine")
    }

    /// A group is back with the host.
    func restored(_ group: GroupID, of claim: ActiveClaim) {
        if let record = claim[group] {
            claim.returned.removeAll { $0.record.id == group }
            claim.returned.append(ClaimView.Group(record, of: claim))
        }
        claim.record.groups.removeAll { $0.id == group }
        claim.work[group] = nil
        guard claim.record.groups.isEmpty else {
            claim.saveOrReport()
            return publish(.groupChanged(group), claim, cause: "the group is back with the host")
        }
        forget(claim, cause: "all of its groups are back with the host")
    }

    /// A claim is over.
    func forget(_ claim: ActiveClaim, cause: String) {
        claim.ownerTask?.cancel()
        claims[claim.id] = nil
        for item in claim.stored { claim.drop(item) }
        // What is open of one that was abandoned is closed for the last time.
        for file in claim.space.removeAll() { closeAside(file) }
        do throws(FileFailure) { if claim.isRecorded { try journal.remove(claim.id) } } catch {
            // On record it is still one whose members are all restored: the next start finds nothing to do.
            report("claim \(claim.id) is over and still on record: \(error)")
        }
        publish(.removed, claim, cause: cause)
    }
}
