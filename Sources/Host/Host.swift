// The seam between the daemon and a machine. All that the daemon learns of a host, and all that it does to one, goes
// through it; behind it is a real kernel or a simulated one.

import EventLoop

/// A machine with devices.
@LoopActor
public protocol Host: AnyObject, Sendable {
    /// What it is, for a person: "this host", or where a simulation comes from.
    nonisolated var name: String { get }

    /// Reads everything anew. Called again, it may keep what cannot have changed.
    func readInventory() async throws(HostError) -> Inventory

    /// Suspends until something may have changed since the last call (or since the first inventory); what that was is
    /// seen by reading again. A host that never changes suspends until the task is cancelled.
    func awaitChange() async throws(LoopError)
}
