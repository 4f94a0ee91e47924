// Turns at something that only so many may do at once.

import EventLoop

/// Lets so many calls run at the same time; the rest wait in the order in which they came.
@LoopActor
final class Turns: Sendable {
    private let limit: Int
    private var taken = 0
    private var waiting: [Turn] = []

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
        let turn = Turn()
        waiting.append(turn)
        let isOurs = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in turn.begin(continuation) }
        } onCancel: {
            EventLoop.main.submit { self.give(up: turn) }
        }
        guard isOurs else { throw CancellationError() }
    }

    /// Ends a turn: the first who waits has it, or nobody.
    private func pass() {
        guard !waiting.isEmpty else {
            taken -= 1
            return
        }
        waiting.removeFirst().end(true)
    }

    private func give(up turn: Turn) {
        guard let index = waiting.firstIndex(where: { $0 === turn }) else { return }
        waiting.remove(at: index)
        turn.end(false)
    }
}

/// One wait for a turn: whether it has come, and before that who waits.
@LoopActor
private final class Turn: Sendable {
    private enum State {
        case before
        case waiting(UnsafeContinuation<Bool, Never>)
        case over(Bool)
    }
    private var state = State.before

    func begin(_ continuation: UnsafeContinuation<Bool, Never>) {
        // The end may come first: somebody else's turn has ended, or the task was cancelled.
        if case .over(let isOurs) = state { return continuation.resume(returning: isOurs) }
        state = .waiting(continuation)
    }

    func end(_ isOurs: Bool) {
        if case .waiting(let continuation) = state { continuation.resume(returning: isOurs) }
        state = .over(isOurs)
    }
}
