// Waiting for something to become true that others bring about.

/// Tells those who wait that they should look again.
///
/// What they wait for is theirs to know: one condition serves tasks that wait for different things.
@LoopActor
public final class Condition {
    private var waiting: [Waiter<Void>] = []

    public nonisolated init() {}

    /// Has all who wait look again, in the order in which they came.
    public func signal() {
        let resumed = waiting
        waiting = []
        for waiter in resumed { waiter.resume() }
    }

    /// Suspends until there is something, which is looked for at once and after each signal.
    ///
    /// - Parameter look: what is there; nil for nothing yet.
    /// - Returns: what was there. That counts more than a cancellation that came meanwhile.
    /// - Throws: `.cancelled`, when the task is cancelled and nothing is there.
    public func wait<Value>(for look: @LoopActor () -> Value?) async throws(LoopError) -> Value {
        while true {
            if let value = look() { return value }
            if Task.isCancelled { throw .cancelled }
            let waiter = Waiter<Void>()
            waiting.append(waiter)
            // Whether it was resumed or cancelled: look first.
            try? await waiter.wait()
            waiting.removeAll { $0 === waiter }
        }
    }

    /// Suspends until `isTrue`, which is asked at once and after each signal.
    ///
    /// - Throws: `.cancelled`, when the task is cancelled and it is not true.
    public func wait(until isTrue: @LoopActor () -> Bool) async throws(LoopError) {
        try await wait { isTrue() ? () : nil }
    }
}
