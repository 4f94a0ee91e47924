// The in-memory truth. One writer puts inventories in; everyone reads snapshots.

import Grouping
import Inventory

/// The groups of a host over time.
public struct Registry: Sendable {
    /// What is known now.
    public private(set) var snapshot: Snapshot
    /// How backends are chosen; fixed for the life of the registry, so that groups keep their identities.
    public let policy: BackendPolicy
    private var grouping: Grouping
    private var holdings: [GroupID: Holding] = [:]

    /// Builds the registry from the first inventory.
    public init(_ inventory: Inventory, policy: BackendPolicy) {
        self.policy = policy
        grouping = Grouping(inventory, policy: policy)
        snapshot = Snapshot(generation: 1, inventory: inventory, grouping: grouping)
    }

    /// Gives the groups the identities that others know them by: claims that are on record. To be called before anybody
    /// sees them; from then on they keep those.
    public mutating func keepIdentities(of known: [KnownGroup]) {
        grouping.keepIdentities(of: known)
        snapshot = Snapshot(
            generation: snapshot.generation, inventory: snapshot.inventory, grouping: grouping, holdings: holdings)
    }

    /// Takes a new inventory in and says what changed. Without a change the snapshot and its generation stay.
    public mutating func update(_ inventory: Inventory) -> [RegistryEvent] {
        guard inventory != snapshot.inventory else { return [] }
        var grouping = Grouping(inventory, policy: policy)
        grouping.keepIdentities(of: snapshot.groups.map(\.group))
        self.grouping = grouping
        return change(to: inventory)
    }

    /// Takes in which groups are held, and says what changed; a group that is not named is held by nobody.
    public mutating func hold(_ holdings: [GroupID: Holding]) -> [RegistryEvent] {
        guard holdings != self.holdings else { return [] }
        self.holdings = holdings
        return change(to: snapshot.inventory)
    }

    private mutating func change(to inventory: Inventory) -> [RegistryEvent] {
        let next = Snapshot(
            generation: snapshot.generation + 1, inventory: inventory, grouping: grouping, holdings: holdings)
        let events = RegistryEvent.changes(from: snapshot, to: next)
        snapshot = next
        return events
    }
}
