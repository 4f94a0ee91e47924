// Waiting for a change of a claim, and for a time by the host's clock.

import EventLoop
import Host

extension Condition {
    /// Suspends until something is true, which is asked at once and after each signal, or until a time has come.
    ///
    /// - Parameters:
    ///   - due: the time; nil for none.
    ///   - host: whose clock counts.
    ///   - isTrue: whether it is true.
    /// - Throws: `.cancelled`, when the task is cancelled first.
    func wait(
        until due: MonotonicTime?, by host: any Host, or isTrue: @LoopActor () -> Bool
    ) async throws(LoopError) {
        let timer = due.map { due in
            EventLoop.main.spawn { [weak self] in
                do throws(LoopError) { try await host.sleep(until: due) } catch { return }
                self?.signal()
            }
        }
        defer { timer?.cancel() }
        try await wait { isTrue() || due.map { host.now >= $0 } ?? false }
    }
}
