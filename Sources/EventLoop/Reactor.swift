import CLinux
import Glibc

/// What the loop waits for: descriptors, timers, and calls that are due at the end of a turn.
@LoopActor
final class Reactor {
    typealias Call = @LoopActor () -> Void

    /// The watches of descriptors, by descriptor: the kernel hands out the lowest free number, so it stays dense.
    /// Unchecked: one thread has them, and no access spans a call that could come back here.
    @exclusivity(unchecked) var watches: [Watch] = []
    var timers = TimerHeap<Call>()
    /// Set to end the loop.
    var exitCode: Int32?
    /// Another thread has put something into the loop's inbox.
    var wokenUp = true

    private(set) var epoll: Int32 = -1
    private var wakeUp: Int32 = -1
    private var timer: Int32 = -1
    private var armed: MonotonicTime?
    private var events = [epoll_event](repeating: epoll_event(), count: 256)
    private var atEndOfTurn: [Call] = []
    private var lastTicket: UInt64 = 0

    nonisolated init() {}

    /// Opens what the loop sleeps on. `wakeUp` is the eventfd that other threads write to.
    func open(wakeUp: Int32) throws(LoopError) {
        guard epoll < 0 else { return }
        let epoll = clinux_epoll_create()
        guard epoll >= 0 else { throw .system(call: "epoll_create1", errno: -epoll) }
        let timer = clinux_timerfd()
        guard timer >= 0 else { throw .system(call: "timerfd_create", errno: -timer) }
        for descriptor in [wakeUp, timer] {
            let added = clinux_epoll_add(epoll, descriptor, CLINUX_EPOLLIN, UInt64(descriptor))
            guard added == 0 else { throw .system(call: "epoll_ctl", errno: -added) }
        }
        (self.epoll, self.timer, self.wakeUp) = (epoll, timer, wakeUp)
    }

    /// A number that no other wait has: a cancellation that comes late finds another wait's number and does nothing.
    func nextTicket() -> UInt64 {
        lastTicket += 1
        return lastTicket
    }

    /// Has `call` called once before the loop next looks at its descriptors.
    func putOff(_ call: @escaping Call) { atEndOfTurn.append(call) }

    /// Makes the calls that were put off to the end of the turn.
    func endTurn() {
        while !atEndOfTurn.isEmpty {
            let calls = atEndOfTurn
            atEndOfTurn.removeAll(keepingCapacity: true)
            for call in calls { call() }
        }
    }

    /// Looks at the descriptors, sleeping until there is something when `blocking`, and wakes who waits for them.
    func poll(blocking: Bool) {
        armTimer()
        let count = clinux_epoll_wait(epoll, &events, Int32(events.count), blocking && !wokenUp ? -1 : 0)
        guard count > 0 else { return }
        for index in 0..<Int(count) {
            let mask = events[index].events
            let data = events[index].data.u64
            switch Int32(truncatingIfNeeded: data) {
            case wakeUp:
                clinux_clear_count(wakeUp)
                wokenUp = true
            case timer:
                clinux_clear_count(timer)
                armed = nil
                fireTimers()
            case let descriptor:
                dispatch(mask, descriptor: descriptor, generation: UInt32(truncatingIfNeeded: data >> 32))
            }
        }
    }

    private func armTimer() {
        guard let earliest = timers.earliest else { return }
        if let armed, armed <= earliest { return }
        armed = earliest
        _ = clinux_timerfd_set(timer, max(earliest.nanoseconds, 1))
    }

    private func fireTimers() {
        let now = MonotonicTime.now
        while let action = timers.popDue(at: now) { action() }
    }
}
