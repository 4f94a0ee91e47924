import Glibc

/// A point on CLOCK_MONOTONIC, which does not jump when the time of day is set.
public struct MonotonicTime: Comparable, Hashable, Sendable {
    /// Nanoseconds since an arbitrary start, the machine's boot.
    public let nanoseconds: UInt64

    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// This moment.
    public static var now: MonotonicTime { MonotonicTime(of: CLOCK_MONOTONIC) }

    /// How long the machine was suspended or hibernated since its boot.
    public static var asleep: Duration { now.duration(until: MonotonicTime(of: CLOCK_BOOTTIME)) }

    private init(of clock: clockid_t) {
        var time = timespec()
        clock_gettime(clock, &time)
        self.init(nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
    }

    public static func < (left: MonotonicTime, right: MonotonicTime) -> Bool { left.nanoseconds < right.nanoseconds }

    /// How long it is from here to a later moment; none to an earlier one.
    public func duration(until later: MonotonicTime) -> Duration {
        .nanoseconds(Int64(clamping: later.nanoseconds - min(nanoseconds, later.nanoseconds)))
    }

    /// The end of `duration` from `time` on. A negative duration counts as none, one that is too long ends never.
    public static func + (time: MonotonicTime, duration: Duration) -> MonotonicTime {
        let (seconds, attoseconds) = duration.components
        guard duration > .zero else { return time }
        let (whole, tooLong) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (length, stillTooLong) = whole.addingReportingOverflow(UInt64(attoseconds) / 1_000_000_000)
        let (end, overflow) = time.nanoseconds.addingReportingOverflow(length)
        return MonotonicTime(nanoseconds: tooLong || stillTooLong || overflow ? .max : end)
    }
}
