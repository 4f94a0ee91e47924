/// Who has how many connections: decides whether one more is let in.
struct Census {
    private(set) var total = 0
    private var users: [UInt32: Int] = [:]
    var limits: ServerLimits

    init(_ limits: ServerLimits) { self.limits = limits }

    /// Counts a connection of `user` in; false when it is one too many.
    mutating func admit(_ user: UInt32) -> Bool {
        let free = limits.connections - total - (user == 0 ? 0 : limits.rootReserve)
        guard free > 0, users[user, default: 0] < limits.connectionsPerUser else { return false }
        total += 1
        users[user, default: 0] += 1
        return true
    }

    /// Counts a connection out that was admitted.
    mutating func dismiss(_ user: UInt32) {
        total -= 1
        guard let count = users[user], count > 1 else {
            users[user] = nil
            return
        }
        users[user] = count - 1
    }
}
