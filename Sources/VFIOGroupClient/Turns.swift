// Turns at something that only so many may do at once.

import EventLoop

/// Lets so many calls run at the same time; the rest wait in the order in which they came.
@LoopActor
final class Turns: Sendable {
    private let limit: Int
    private var taken = 0
    private var waiting: [Waiter<Void>] = []

    nonisolated init(limit: Int) { self.limit = limit }

    /// Waits for a turn, and calls `body` in it.
    ///
    /// - Throws: `CancellationError` when the task is cancelled before its turn, or what `body` throws.
    func take<Result>(_ body: @LoopActor () async throws -> Result) async throws -> Result {
        try await wait()
        defer { pass() }
        return try await body()
    }

    private func wait() async throws(CancellationError) {
        guard taken >= limit else {
            taken += 1
            return
        }
        let turn = Waiter<Void>()
        waiting.append(turn)
        do throws(LoopError) { try await turn.wait() } catch {
            // Where it waits no more, the cancellation was quicker than the turn that it was given.
            if let index = waiting.firstIndex(where: { $0 === turn }) { waiting.remove(at: index) } else { pass() }
            throw CancellationError()
        }
    }

    /// Ends a turn: the first who waits has it, or nobody.
    private func pass() {
        guard !waiting.isEmpty else {
            taken -= 1
            return
        }
        waiting.removeFirst().resume()
    }
}
