// A process that makes one call into the kernel which may never return. A thread stuck there would keep the daemon
// from ending; a process can be left behind, and found again.

public import EventLoop
import Inventory

/// A process, told apart from a later one with the same number.
public struct ProcessIdentity: Hashable, Sendable {
    public var pid: Int32
    /// When it started, in clock ticks since boot (field 22 of /proc/PID/stat).
    public var startTime: UInt64

    public init(pid: Int32, startTime: UInt64) {
        self.pid = pid
        self.startTime = startTime
    }
}

/// A worker, its call made or not.
@LoopActor
public protocol KernelWorker: AnyObject, Sendable {
    /// Which process it is: on record before the call is made, so that no call outlives what is known of it.
    var id: ProcessIdentity { get }

    /// Has the call made. A worker whose daemon dies before that ends without it.
    func go()

    /// Suspends until the call has ended; to be awaited by one task at a time, again after a cancellation.
    func outcome() async throws(LoopError) -> CallOutcome
}
