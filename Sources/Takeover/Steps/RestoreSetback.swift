// A way back that failed, and how it goes on: by itself after a pause, or, where a driver has refused its device often
// enough, when something about the device changes or somebody asks.

import EventLoop
import Grouping
import Host
import Inventory
import PCI
import Registry

/// What the way back of a group failed at when it was last tried.
public struct RestoreSetback: Equatable, Sendable {
    /// What failed.
    public var failure: StepFailure
    /// How often it was tried.
    public var tries: Int
    /// It is not tried again before something changes.
    public var waitsForChange = false
    /// The claim, as commands name it.
    var claim: String

    /// What went wrong, in what, and whether it is tried again, in words.
    public var reason: String {
        guard waitsForChange else { return failure.reason }
        return "\(failure.reason); it was tried \(tries) times, and is tried again only when the device changes or "
            + "when somebody asks"
    }

    /// What would help, in words.
    public var remedy: String {
        waitsForChange ? "\(failure.remedy); then vfiogroupctl release \(claim) tries again" : failure.remedy
    }

    /// Both.
    public var sentence: String { "\(reason); \(remedy)" }
}

/// What of the members of a group may make a further try worth it.
struct RestoreSigns: Equatable {
    /// What one device shows.
    struct Sign: Equatable {
        var isThere: Bool
        var driver: String?
        var driverOverride: String?
        /// Whether the driver that it goes back to is in the kernel.
        var hasDriver: Bool?
    }

    var signs: [DeviceAddress: Sign] = [:]
}

extension ActiveClaim {
    /// Has a failed way back of groups tried again at once.
    func retryNow(_ groups: [GroupID]) {
        for id in groups {
            guard let work = work[id], work.setback != nil else { continue }
            work.setback = nil
            work.isAskedToRetry = true
        }
        takeover.changed()
    }

    /// What the members of a group show now.
    func signs(of group: GroupID) -> RestoreSigns {
        let inventory = takeover.snapshot.inventory
        var signs = RestoreSigns()
        for member in self[group]?.members ?? [] where member.isTouched && !member.isRestored {
            let device = inventory[member.address]
            signs.signs[member.address] = .init(
                isThere: device != nil, driver: device?.driver, driverOverride: device?.driverOverride.value,
                hasDriver: member.before.driver.name.flatMap { host.hasDriver($0, onBusOf: member.address) })
        }
        return signs
    }

    /// Suspends until the way back is worth another try.
    ///
    /// - Parameters:
    ///   - group: the group that is on its way.
    ///   - pause: the longest wait; nil where only a change counts.
    ///   - before: what its members showed when the last try was over.
    /// - Throws: when the daemon ends, or the claim is abandoned.
    func awaitRetry(of group: GroupID, after pause: Duration?, _ before: RestoreSigns) async throws(LoopError) {
        try await takeover.condition.wait(until: pause.map { host.now + $0 }, by: host) { [self] in
            if takeover.isStopped || work[group]?.isAskedToRetry != false { return true }
            return pause == nil && signs(of: group) != before
        }
        // A daemon that ends amid its start does not know this task yet, and cannot cancel it.
        if takeover.isStopped { throw .cancelled }
        work[group]?.isAskedToRetry = false
    }
}
