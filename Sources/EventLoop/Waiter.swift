// One wait of one task. Whoever makes it keeps it where the one who ends the wait finds it, and needs neither a
// continuation nor a cancellation handler.

/// A wait for a value that somebody else brings.
///
/// Make it, put it where it will be found, and wait. It may be resumed from the moment it is made: nothing that happens
/// between looking and waiting is missed. The first end counts, be it a value or the task's cancellation, and later ones
/// do nothing. A waiter is for one wait; the next wait takes another.
@LoopActor
public final class Waiter<Value: Sendable> {
    /// Unsafe rather than checked: it is taken out of `state` before it is resumed, so that none is resumed twice.
    private typealias Continuation = UnsafeContinuation<Value?, Never>

    private enum State {
        case made
        case waiting(Continuation)
        /// With what it ended before it was waited for; nil for a cancellation.
        case ended(Value?)
    }

    private var state = State.made

    private static var misuse: String { "a waiter is for one wait" }

    public nonisolated init() {}

    /// Suspends until it is resumed.
    ///
    /// - Returns: what it is resumed with, also when that came before the wait.
    /// - Throws: `.cancelled`, when the task is cancelled and no value came before.
    public func wait() async throws(LoopError) -> Value {
        let value = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                if Task.isCancelled { end(nil) }
                park(continuation)
            }
        } onCancel: {
            // On whatever thread cancels, perhaps before the wait has begun: the loop itself ends it, later.
            EventLoop.main.submit { self.end(nil) }
        }
        guard let value else { throw .cancelled }
        return value
    }

    /// Suspends until it is resumed, whether or not the task is cancelled.
    ///
    /// - Returns: what it is resumed with.
    public func waitIgnoringCancellation() async -> Value {
        let value = await withUnsafeContinuation { continuation in park(continuation) }
        guard let value else { preconditionFailure(Self.misuse) }
        return value
    }

    /// Ends the wait with a value; does nothing when it has ended.
    public func resume(returning value: Value) { end(value) }

    private func park(_ continuation: Continuation) {
        switch state {
        case .made: state = .waiting(continuation)
        case .ended(let value): continuation.resume(returning: value)
        case .waiting: preconditionFailure(Self.misuse)
        }
    }

    private func end(_ value: Value?) {
        switch state {
        case .made: state = .ended(value)
        case .waiting(let continuation):
            state = .ended(value)
            continuation.resume(returning: value)
        case .ended: break
        }
    }
}

extension Waiter where Value == Void {
    /// Ends the wait; does nothing when it has ended.
    public func resume() { resume(returning: ()) }
}
