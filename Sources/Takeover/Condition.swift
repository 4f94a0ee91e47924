// Waiting for something to become true that others bring about.

import EventLoop

/// Tells those who wait that they should look again.
@LoopActor
final class Condition {
    private var waiting: [Int: UnsafeContinuation<Void, Never>] = [:]
    private var number = 0

    nonisolated init() {}

    /// Has all who wait look again.
    func signal() {
        let resumed = waiting
        waiting = [:]
        for continuation in resumed.values { continuation.resume() }
    }

    /// Suspends until `isTrue`, which is asked after each signal.
    func wait(until isTrue: @LoopActor () -> Bool) async throws(LoopError) {
        while !isTrue() {
            if Task.isCancelled { throw .cancelled }
            number += 1
            let number = number
            await withTaskCancellationHandler {
                await withUnsafeContinuation { continuation in
                    // Asked here and not before the await: other jobs may run on the way in.
                    if isTrue() || Task.isCancelled { continuation.resume() } else { waiting[number] = continuation }
                }
            } onCancel: {
                EventLoop.main.submit { self.waiting.removeValue(forKey: number)?.resume() }
            }
        }
    }
}
