// What the host uses, group by group: from the table of the last lookup, and from what is known of other groups and of the
// last boot. It is what a claim would find, but for its age; a claim looks itself.

import EventLoop
import Grouping
import Host
import Inventory
import Registry
import Takeover

/// What the host uses, of one moment: for readers who go through many groups.
public struct KnownUses: Sendable {
    /// The uses of a group's members, and of functions that go with their drivers.
    public struct OfGroup: Equatable, Sendable {
        public var uses: [DeviceUse]
        /// When the host was asked, in seconds since 1970.
        public var seen: Int

        /// Whether a claim that forces nothing would be refused.
        public var refuseClaim: Bool { uses.contains(where: \.stopsClaim) }
    }

    /// Counts the lookups.
    public let version: Int
    private let answer: UseTable.Answer?
    private let snapshot: Snapshot
    private let known: KnownDevices

    @LoopActor init(_ table: UseTable, _ snapshot: Snapshot, _ known: KnownDevices) {
        version = table.version
        answer = table.answer
        self.snapshot = snapshot
        self.known = known
    }

    /// What is used of a group; nil while not all of it has been looked up.
    public func uses(of record: GroupRecord) -> OfGroup? {
        guard let answer else { return nil }
        let devices = Preflight.devices(of: [record], in: snapshot)
        guard devices.allSatisfy(answer.devices.contains) else { return nil }
        return OfGroup(
            uses: Preflight.uses(
                [record], askedBy: [.group(record.id.text)], found: devices.flatMap { answer.uses[$0] ?? [] },
                known: known, in: snapshot),
            seen: answer.seen)
    }
}

extension Keeper {
    /// What is known now of what the host uses.
    public var uses: KnownUses { KnownUses(useTable, snapshot, takeover.knownDevices) }

    /// How often that is looked up.
    public var useTiming: UseTiming {
        get { useTable.timing }
        set { useTable.timing = newValue }
    }

    /// Whether nobody has to wait for what is known of it.
    public var areUsesReady: Bool { useTable.isReady }

    /// Has the host asked again where what is known is old, and suspends until it has answered, or for a moment.
    public func refreshUses() async { await useTable.refresh() }

    /// Keeps what the host uses looked up whenever it is told of a change, until the task is cancelled. What nobody tells of
    /// is looked up when somebody asks.
    public func followUses() async {
        followsUses = true
        useTable.lookUp()
        while true {
            do throws(LoopError) {
                try await host.awaitUseChange()
                // A program that is started in a container of its own mounts a dozen file systems.
                try await EventLoop.main.sleep(for: .milliseconds(20))
            } catch { return }
            usesMayHaveChanged()
        }
    }

    /// Devices came, went, or changed hands; or the host told of a change.
    func usesMayHaveChanged() {
        useTable.outdate()
        if followsUses { useTable.lookUp() }
    }

    /// Has the table look up the devices of this keeper's groups, and everybody told of groups whose uses changed.
    func setUpUseTable() {
        useTable.devices = { [weak self] in self?.snapshot.groups.flatMap(\.group.members) ?? [] }
        useTable.onAnswer = { [weak self] before, now in
            guard let self else { return }
            let snapshot = snapshot
            var groups: Set<GroupID> = []
            for device in Set(now.uses.keys).union(before.map { Set($0.uses.keys) } ?? [])
            where before?.uses[device] != now.uses[device] {
                // Whoever would lose it counts, too.
                for device in [device, snapshot.inventory.maker(of: device)] {
                    if let id = device.flatMap({ snapshot.group(of: $0) })?.id { groups.insert(id) }
                }
            }
            tellOfUses(of: groups)
        }
    }
}
