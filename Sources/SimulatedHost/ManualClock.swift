// A clock that stands still until it is told to go on, for tests that have no time.

public import EventLoop
import Inventory

/// A host's clock, moved by hand.
@LoopActor
public final class ManualClock: Sendable {
    private struct Sleeper {
        let deadline: MonotonicTime
        let waiter: Waiter<Void>
    }

    /// What it shows.
    public private(set) var now = MonotonicTime(nanoseconds: 1_000_000_000)
    /// The one who is due first comes first; of one time, the one who came first.
    private var sleepers: [Sleeper] = []

    public nonisolated init() {}

    /// When the next sleeper is due; nil when nobody sleeps.
    public var nextDeadline: MonotonicTime? { sleepers.first?.deadline }

    /// Goes on to `time`, and wakes all who are due.
    public func advance(to time: MonotonicTime) {
        now = max(now, time)
        let due = sleepers.prefix { $0.deadline <= now }
        sleepers.removeFirst(due.count)
        for sleeper in due { sleeper.waiter.resume() }
    }

    /// Suspends until the clock shows `deadline`.
    func sleep(until deadline: MonotonicTime) async throws(LoopError) {
        if Task.isCancelled { throw .cancelled }
        if deadline <= now { return }
        let waiter = Waiter<Void>()
        let place = sleepers.firstIndex { $0.deadline > deadline } ?? sleepers.endIndex
        sleepers.insert(Sleeper(deadline: deadline, waiter: waiter), at: place)
        defer { sleepers.removeAll { $0.waiter === waiter } }
        try await waiter.wait()
    }
}
