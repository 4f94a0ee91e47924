// The in-memory truth. One writer puts inventories in; everyone reads snapshots.

import Grouping
import Host

/// The groups of a host over time.
public struct Registry: Sendable {
    /// What is known now.
    public private(set) var snapshot: Snapshot
    /// How backends are chosen; fixed for the life of the registry, so that groups keep their identities.
    public let policy: BackendPolicy

    /// Builds the registry from the first inventory.
    public init(_ inventory: Inventory, policy: BackendPolicy) {
        self.policy = policy
        snapshot = Snapshot(
            generation: 1, inventory: inventory, grouping: Grouping(inventory, policy: policy))
    }

    /// Takes a new inventory in and says what changed. Without a change the snapshot and its generation stay.
    public mutating func update(_ inventory: Inventory) -> [RegistryEvent] {
        guard inventory != snapshot.inventory else { return [] }
        var grouping = Grouping(inventory, policy: policy)
        grouping.keepIdentities(of: snapshot.groups.map(\.group))
        let next = Snapshot(generation: snapshot.generation + 1, inventory: inventory, grouping: grouping)
        let events = RegistryEvent.changes(from: snapshot, to: next)
        snapshot = next
        return events
    }
}
