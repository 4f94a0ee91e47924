// Those who watch. Each has a bounded queue: one who reads too slowly is told so and lists anew, instead of making the
// daemon keep what it does not read.

import EventLoop
import Keeper
import Varlink

/// Hands every event to every watcher.
@LoopActor
final class Monitors {
    /// A watcher's place.
    @LoopActor
    final class Queue {
        /// What a watcher gets next.
        enum Item: Equatable {
            case event(GroupEvent)
            /// Events were dropped.
            case overflow
        }

        fileprivate let caller: Caller?
        private let capacity: Int
        private var items: [Item] = []
        private let hasNews = Condition()
        private(set) var isClosed = false
        /// What the watcher is told at the end; nil when the end is the daemon's.
        private(set) var refusal: ErrorReply?

        fileprivate init(for caller: Caller?, capacity: Int) {
            self.caller = caller
            self.capacity = capacity
        }

        func push(_ event: GroupEvent) {
            if items.count < capacity {
                items.append(.event(event))
            } else if items.last != .overflow {
                items = [.overflow]
            }
            hasNews.signal()
        }

        /// Suspends until there is something, and takes all of it; empty when the task was cancelled.
        func next() async -> [Item] {
            try? await hasNews.wait { !items.isEmpty || isClosed }
            defer { items = [] }
            return items
        }

        /// Has the watcher end, and told why.
        func close(_ refusal: ErrorReply? = nil) {
            isClosed = true
            self.refusal = refusal
            hasNews.signal()
        }
    }

    /// How many events a watcher may be behind.
    static let capacity = 1024

    private var queues: [ObjectIdentifier: Queue] = [:]

    /// How many watch.
    var count: Int { queues.count }

    /// A new watcher's place.
    func add(for caller: Caller? = nil, capacity: Int = Monitors.capacity) -> Queue {
        let queue = Queue(for: caller, capacity: capacity)
        queues[ObjectIdentifier(queue)] = queue
        return queue
    }

    /// Takes a watcher's place away.
    func remove(_ queue: Queue) { queues[ObjectIdentifier(queue)] = nil }

    /// Has all watchers end.
    func close() { for queue in queues.values { queue.close() } }

    /// Has those end for whom there is a refusal, which they are told.
    func close(refusal: (Caller) -> ErrorReply?) {
        for queue in queues.values where !queue.isClosed {
            if let refusal = queue.caller.flatMap(refusal) { queue.close(refusal) }
        }
    }

    /// Hands events to all watchers.
    func publish(_ events: [GroupEvent]) {
        for queue in queues.values { for event in events { queue.push(event) } }
    }
}
