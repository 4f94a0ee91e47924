import EventLoop

/// How long one connection may keep the loop to itself before others have their turn.
struct TimeSlice {
    private var started = MonotonicTime.now.nanoseconds
    private var steps = 0

    private static let length: UInt64 = 1_000_000

    /// Counts a step; true when it is time to give way.
    mutating func step() -> Bool {
        steps += 1
        // The clock costs as much as a small reply: ask it now and then.
        guard steps.isMultiple(of: 16), MonotonicTime.now.nanoseconds &- started > Self.length else { return false }
        return true
    }

    mutating func restart() { self = TimeSlice() }
}
