/// Pending timers, the earliest first. A binary heap; a cancelled timer stays in it as a husk until it comes up or the
/// husks are the majority, so that cancelling costs nothing and memory stays bounded by what is alive.
struct TimerHeap<Action> {
    private struct Entry {
        let deadline: MonotonicTime
        let id: UInt64
    }

    private var heap: [Entry] = []
    private var actions: [UInt64: Action] = [:]
    private var lastID: UInt64 = 0

    var count: Int { actions.count }

    mutating func insert(_ deadline: MonotonicTime, _ action: Action) -> UInt64 {
        lastID += 1
        actions[lastID] = action
        heap.append(Entry(deadline: deadline, id: lastID))
        siftUp(from: heap.count - 1)
        return lastID
    }

    /// Takes a timer out and returns its action; nil when it has come up already.
    mutating func remove(_ id: UInt64) -> Action? {
        guard let action = actions.removeValue(forKey: id) else { return nil }
        if heap.count > 64, heap.count > 2 * actions.count {
            heap.removeAll { actions[$0.id] == nil }
            for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { siftDown(from: index) }
        }
        return action
    }

    /// When the next timer comes up.
    var earliest: MonotonicTime? {
        mutating get {
            while let first = heap.first, actions[first.id] == nil { removeFirst() }
            return heap.first?.deadline
        }
    }

    /// Takes the next timer that is due at `now`.
    mutating func popDue(at now: MonotonicTime) -> Action? {
        guard let earliest, earliest <= now else { return nil }
        return actions.removeValue(forKey: removeFirst().id)
    }

    @discardableResult
    private mutating func removeFirst() -> Entry {
        heap.swapAt(0, heap.count - 1)
        let entry = heap.removeLast()
        siftDown(from: 0)
        return entry
    }

    private func precedes(_ left: Int, _ right: Int) -> Bool {
        (heap[left].deadline, heap[left].id) < (heap[right].deadline, heap[right].id)
    }

    private mutating func siftUp(from index: Int) {
        var child = index
        while child > 0, case let parent = (child - 1) / 2, precedes(child, parent) {
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(from index: Int) {
        var parent = index
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && precedes(child, least) {
                least = child
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
