import EventLoop

/// How long one connection may keep the loop to itself before others have their turn.
struct TimeSlice {
    /// Nil until the first look at the clock.
    private var started: UInt64?
    private var steps = 0

    private static let length: UInt64 = 1_000_000

    /// Counts a step; true when it is time to give way.
    mutating func step() -> Bool {
        steps += 1
        // The clock costs as much as a small reply: ask it now and then.
        guard steps.isMultiple(of: 16) else { return false }
        let now = MonotonicTime.now.nanoseconds
        guard let started else {
            started = now
            return false
        }
        return now &- started > Self.length
    }

    mutating func restart() { self = TimeSlice() }
}
