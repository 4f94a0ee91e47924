// A clock that stands still until it is told to go on, for tests that have no time.

public import EventLoop
import Inventory

/// A host's clock, moved by hand.
@LoopActor
public final class ManualClock: Sendable {
    private struct Sleeper {
        let deadline: MonotonicTime
        let number: Int
        let continuation: UnsafeContinuation<Bool, Never>
    }

    /// What it shows.
    public private(set) var now = MonotonicTime(nanoseconds: 1_000_000_000)
    private var sleepers: [Sleeper] = []
    private var number = 0

    public nonisolated init() {}

    /// When the next sleeper is due; nil when nobody sleeps.
    public var nextDeadline: MonotonicTime? { sleepers.map(\.deadline).min() }

    /// Goes on to `time`, and wakes all who are due.
    public func advance(to time: MonotonicTime) {
        now = max(now, time)
        let due = sleepers.filter { $0.deadline <= now }.sorted { ($0.deadline, $0.number) < ($1.deadline, $1.number) }
        sleepers.removeAll { $0.deadline <= now }
        for sleeper in due { sleeper.continuation.resume(returning: true) }
    }

    /// Suspends until the clock shows `deadline`.
    func sleep(until deadline: MonotonicTime) async throws(LoopError) {
        number += 1
        let number = number
        let completed = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                if Task.isCancelled { return continuation.resume(returning: false) }
                if deadline <= now { return continuation.resume(returning: true) }
                sleepers.append(Sleeper(deadline: deadline, number: number, continuation: continuation))
            }
        } onCancel: {
            EventLoop.main.submit { self.cancel(number) }
        }
        guard completed else { throw .cancelled }
    }

    private func cancel(_ number: Int) {
        guard let index = sleepers.firstIndex(where: { $0.number == number }) else { return }
        sleepers.remove(at: index).continuation.resume(returning: false)
    }
}
