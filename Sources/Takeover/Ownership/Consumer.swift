// The consumer of what was handed over, as far as looks have shown it. Nothing announces that a program has come or gone:
// what is known of it is when somebody was last seen with a device.

import EventLoop
import Inventory

/// How long it is waited for a program that is to open nodes in /dev.
public enum ConsumerTimeout: Equatable, Sendable {
    /// This long after the hand-over.
    case after(Duration)
    /// As long as the claim's owner lives.
    case never
}

/// Who has what was handed over.
struct Consumer: Equatable, Sendable {
    /// What looks have shown so far.
    enum Sighting: Equatable, Sendable {
        /// Nobody was seen yet.
        case awaited
        /// Somebody was last seen then, and missed in so many looks since.
        case seen(at: MonotonicTime, missed: Int)
    }

    /// What is to be done about it.
    enum Verdict: Equatable, Sendable {
        /// It is there, or may still come.
        case stays
        /// It was there, and was last seen then.
        case gone(lastSeen: MonotonicTime)
        /// Nobody came in time.
        case neverCame(after: Duration)
    }

    /// When it was handed over, or when this daemon found that it had been.
    let since: MonotonicTime
    var sighting: Sighting
    /// The members that it has open as far as `enable` tells: these are owned by it.
    var opened: Set<DeviceAddress> = []

    /// How many looks in a row have to miss one that was there.
    private static let misses = 2

    /// - Parameters:
    ///   - access: what it was handed.
    ///   - now: the time of the hand-over.
    init(of access: Access, at now: MonotonicTime) {
        since = now
        // Copies of what owns the group are on their way in a socket, and are somebody's as long as they are anywhere.
        sighting = access == .bound || access == .container ? .seen(at: now, missed: 0) : .awaited
    }

    /// Whether it was there at the last look.
    var isThere: Bool { if case .seen(_, missed: 0) = sighting { true } else { false } }

    /// Takes in what a look has shown.
    ///
    /// - Parameters:
    ///   - isSeen: whether somebody else had one of the devices open.
    ///   - opened: the members that were open as far as `enable` tells.
    ///   - now: the time of the look.
    mutating func look(isSeen: Bool, opened: Set<DeviceAddress>, at now: MonotonicTime) {
        self.opened = opened
        if isSeen || !opened.isEmpty {
            sighting = .seen(at: now, missed: 0)
        } else if case .seen(let last, let missed) = sighting {
            sighting = .seen(at: last, missed: missed + 1)
        }
    }

    /// What the looks so far mean.
    ///
    /// - Parameters:
    ///   - timeout: how long it is waited for one that has not come; nil for as long as the owner lives.
    ///   - ownerEnded: whether the claim's owner has ended.
    ///   - now: the time.
    /// - Returns: what is to be done.
    func verdict(timeout: Duration?, ownerEnded: Bool, at now: MonotonicTime) -> Verdict {
        switch sighting {
        case .seen(let last, let missed): return missed >= Self.misses ? .gone(lastSeen: last) : .stays
        case .awaited:
            let waited = since.duration(until: now)
            guard let timeout else { return ownerEnded ? .neverCame(after: waited) : .stays }
            return ownerEnded || now >= since + timeout ? .neverCame(after: waited) : .stays
        }
    }
}
