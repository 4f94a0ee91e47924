/// Waiting for time, and giving way.
extension EventLoop {
    /// A call that is due later.
    public struct Timer: Sendable {
        fileprivate let id: UInt64

        /// Takes the call back; does nothing when it was made already.
        @LoopActor public func cancel() { _ = EventLoop.main.reactor.timers.remove(id) }
    }

    /// Has `call` called once, at `deadline` or as soon after it as the loop is free.
    @LoopActor
    @discardableResult
    public func schedule(at deadline: MonotonicTime, _ call: @escaping @LoopActor () -> Void) -> Timer {
        Timer(id: reactor.timers.insert(deadline, call))
    }

    /// Has `call` called before the loop next looks at its descriptors, once the jobs that are ready now have run.
    @LoopActor public func atEndOfTurn(_ call: @escaping @LoopActor () -> Void) { reactor.putOff(call) }

    /// Suspends until `deadline`.
    @LoopActor public func sleep(until deadline: MonotonicTime) async throws(LoopError) {
        let waiter = Waiter<Void>()
        let timer = schedule(at: deadline) { waiter.resume() }
        defer { timer.cancel() }
        try await waiter.wait()
    }

    /// Suspends for `duration`.
    @LoopActor public func sleep(for duration: Duration) async throws(LoopError) {
        try await sleep(until: .now + duration)
    }

    /// Lets all other jobs that are ready, and descriptors and timers, have their turn.
    @LoopActor public func yield() async {
        // Not Task.yield(): that may take the detour over the default executor, which starts threads.
        await withUnsafeContinuation { continuation in reactor.putOff { continuation.resume() } }
    }

    /// Suspends until the task is cancelled; the code is for `run`.
    @LoopActor func never() async -> Int32 {
        try? await sleep(until: MonotonicTime(nanoseconds: .max))
        return 0
    }

    /// Runs `body` in a task of its own and cancels it at `deadline`.
    ///
    /// - Returns: what `body` returns; whether it notices the cancellation is its own affair, and waited for.
    @LoopActor public func withDeadline<Success: Sendable>(
        _ deadline: MonotonicTime, _ body: @escaping @Sendable @LoopActor () async -> Success
    ) async -> Success {
        let task = spawn(body)
        let timer = schedule(at: deadline) { task.cancel() }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
    }
}
