import CLinux
import Glibc

/// A process, held by a pidfd: its number may be reused, this never is.
@LoopActor
public final class ProcessHandle {
    /// How a child has ended.
    public enum Ending: Equatable, Sendable {
        case exited(code: Int32)
        case killed(signal: Int32)
        /// It was no child of ours, or someone else reaped it.
        case unknown
    }

    /// The pidfd, owned by this object.
    public let descriptor: Int32

    /// Opens the process that has the number `pid` at this moment.
    public init(pid: Int32) throws(LoopError) {
        descriptor = clinux_pidfd_open(pid)
        guard descriptor >= 0 else { throw .system(call: "pidfd_open", errno: -descriptor) }
    }

    /// Takes over a pidfd.
    public init(adopting pidfd: Int32) { descriptor = pidfd }

    isolated deinit {
        guard descriptor >= 0 else { return }
        EventLoop.main.forget(descriptor)
        close(descriptor)
    }

    /// Suspends until the process has ended; reaps it when it is a child.
    public func ended() async throws(LoopError) -> Ending {
        try await EventLoop.main.readable(descriptor)
        var code: Int32 = 0
        var status: Int32 = 0
        guard clinux_pidfd_reap(descriptor, &code, &status) == 1 else { return .unknown }
        return code == CLD_EXITED ? .exited(code: status) : .killed(signal: status)
    }

    /// Sends a signal; false when the process is gone.
    @discardableResult
    public func signal(_ number: Int32) -> Bool { clinux_pidfd_send_signal(descriptor, number) == 0 }
}
