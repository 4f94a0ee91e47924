// A try to put something right in a held group that failed. It is tried again when something about it changes, and after
// a while also when nothing is seen to: nothing tells when a driver would take what it refused, or when a program closes
// what it had open.

import EventLoop
import Inventory

/// What came of a try, and when the next one is due.
struct Setback {
    /// The member that it failed at, where it was one.
    var member: DeviceAddress?
    /// Why, in words.
    var reason: String
    /// What would help, in words.
    var remedy: String
    private var pause: Duration
    var due: MonotonicTime

    /// The pauses between tries double as those of a restore do, unless they are even, as those of ownership: all the
    /// while a host driver may come in.
    init(
        _ failure: StepFailure, after earlier: Setback?, now: MonotonicTime, _ timing: TakeoverTiming, isEven: Bool
    ) {
        member = failure.member
        reason = failure.reason
        remedy = failure.remedy
        let next = earlier.map { min($0.pause * 2, timing.lastRetry) } ?? timing.firstRetry
        pause = isEven ? timing.ownAgain : next
        due = now + pause
    }
}
