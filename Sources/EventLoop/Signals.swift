import CLinux
import Glibc

/// Signals as an asynchronous sequence of their numbers, by signalfd(2).
///
/// They are blocked in the calling thread, and in threads started later: make it first of all, in `main`.
@LoopActor
public final class Signals {
    private let descriptor: Int32

    public init(_ signals: [Int32]) throws(LoopError) {
        descriptor = clinux_signalfd(signals, UInt32(signals.count))
        guard descriptor >= 0 else { throw .system(call: "signalfd", errno: -descriptor) }
    }

    isolated deinit {
        guard descriptor >= 0 else { return }
        EventLoop.main.forget(descriptor)
        close(descriptor)
    }

    /// Suspends until a signal is pending, and takes it.
    public func next() async throws(LoopError) -> Int32 {
        while true {
            let signal = clinux_signalfd_read(descriptor)
            if signal > 0 { return signal }
            guard signal == -EAGAIN || signal == -EINTR else { throw .system(call: "read", errno: -signal) }
            try await EventLoop.main.readable(descriptor)
        }
    }
}
