// What the host uses of its devices, as it was when that was last looked up. A lookup goes through every mount, interface
// and open file of the host: one at a time, for all devices at once, and with pauses that keep what it costs in bounds.

import EventLoop
import Host
import Inventory

/// How often uses are looked up, and how long somebody waits for that.
public struct UseTiming: Sendable {
    /// How old an answer may be.
    public var age = Duration.seconds(5)
    /// The pause between two lookups, at least.
    public var pause = Duration.seconds(1)
    /// The same as a multiple of how long the last one took: with 9 a tenth of one processor's time is spent on it at most.
    public var share = 9
    /// How long somebody who asks waits for a lookup; then the older answer has to do.
    public var patience = Duration.seconds(1)

    public init() {}
}

/// The answer that was last given, and the lookup that may be under way.
@LoopActor
final class UseTable {
    /// What was found.
    struct Answer {
        /// The uses of the devices that have any.
        var uses: [DeviceAddress: [DeviceUse]] = [:]
        /// The devices that were asked about.
        var devices: Set<DeviceAddress> = []
        /// When the lookup began, in seconds since 1970.
        var seen: Int
        /// The same by the loop's clock.
        var began: MonotonicTime
        /// How many changes were told of by then.
        fileprivate var changes: Int
    }

    var timing = UseTiming()
    /// What was found last; nil before the first time.
    private(set) var answer: Answer?
    /// Counts the answers.
    private(set) var version = 0
    private let host: any Host
    private let hasNews = Condition()
    private var changes = 0
    private var lookup: Task<Void, Never>?
    /// When that was asked for.
    private var asked = MonotonicTime.now
    /// Before that no other lookup begins.
    private var nextLookup = MonotonicTime.now
    private var isStopped = false
    /// The devices to look up.
    var devices: @LoopActor () -> [DeviceAddress] = { [] }
    /// Called with the answer before and the one that takes its place.
    var onAnswer: @LoopActor (_ before: Answer?, _ now: Answer) -> Void = { _, _ in }
    /// Seconds since 1970.
    var wallClock: @LoopActor () -> Int

    init(of host: any Host, wallClock: @escaping @LoopActor () -> Int) {
        self.host = host
        self.wallClock = wallClock
    }

    /// Whether the answer may be shown as it is.
    var isFresh: Bool {
        guard let answer, answer.changes == changes else { return false }
        return answer.began + timing.age > .now
    }

    /// Whether the answer has to do: it is fresh, or it is too early for another lookup. Whoever asks again and again while
    /// claims come and go would otherwise wait for one pause after the other.
    var isReady: Bool { isFresh || answer != nil && nextLookup > .now }

    /// Something happened after which the answer may be wrong.
    func outdate() { changes += 1 }

    /// Ends the lookup, and begins no other.
    func stop() {
        isStopped = true
        lookup?.cancel()
        hasNews.signal()
    }

    /// Has the devices looked up as soon as that may be, unless that is under way.
    func lookUp() {
        guard lookup == nil, !isStopped else { return }
        asked = .now
        lookup = EventLoop.main.spawn { [weak self] in
            while await self?.lookUpOnce() == true {}
            self?.lookup = nil
        }
    }

    /// Has an answer that is not ready looked up again, and suspends until that is done, or has taken too long. For one
    /// lookup that takes long nobody waits twice.
    func refresh() async {
        guard !isReady, !isStopped else { return }
        lookUp()
        let deadline = asked + timing.patience
        guard deadline > .now else { return }
        let timer = EventLoop.main.schedule(at: deadline) { [hasNews] in hasNews.signal() }
        defer { timer.cancel() }
        try? await hasNews.wait { isReady || isStopped || MonotonicTime.now >= deadline }
    }

    /// Looks once; whether there is reason to look again.
    private func lookUpOnce() async -> Bool {
        do throws(LoopError) { if nextLookup > .now { try await EventLoop.main.sleep(until: nextLookup) } } catch {
            return false
        }
        // What happens from here on is perhaps not seen.
        let devices = devices()
        var now = Answer(devices: Set(devices), seen: wallClock(), began: .now, changes: changes)
        let found = await host.uses(of: devices)
        guard !isStopped else { return false }
        for use in found { now.uses[use.device, default: []].append(use) }
        let took = now.began.duration(until: .now)
        nextLookup = .now + max(timing.pause, took * timing.share)
        let before = answer
        answer = now
        version += 1
        onAnswer(before, now)
        hasNews.signal()
        return now.changes != changes
    }
}
