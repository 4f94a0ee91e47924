/// Why a wait on the event loop ended without what was waited for.
public enum LoopError: Error, Equatable, Sendable {
    /// The waiting task was cancelled.
    case cancelled
    /// `forget` was called on the descriptor: whoever did is about to close it.
    case forgotten
    /// The time given has passed.
    case timedOut
    /// Another task already waits for the same direction of this descriptor.
    case alreadyWaiting(descriptor: Int32)
    /// `run` was called while the loop runs.
    case alreadyRunning
    /// A system call failed; EPERM from epoll_ctl means that the descriptor cannot be polled.
    case system(call: String, errno: Int32)
}
