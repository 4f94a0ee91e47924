// A claim as others may see it, at one moment.

import EventLoop
import Grouping
import Host
import Inventory
import Registry

/// What is going on with a group of a claim.
public struct GroupOperation: Equatable, Sendable {
    /// What is done, in a word.
    public var action: String
    /// Which step of how many, from 1.
    public var step: Int
    public var steps: Int
    public var member: DeviceAddress?
    /// The worker that makes a call.
    public var pid: Int32?
    public var seconds: Double
    /// The call takes so long that it may never return.
    public var isBlocked: Bool
    /// Who it waits for before it touches a device, or what does not return, in words.
    public var waitsFor: String?
    /// What would end the wait, in words.
    public var remedy: String?
}

/// How far a claim is with one of its groups.
public struct ClaimProgress: Equatable, Sendable {
    public var group: GroupID
    public var operation: GroupOperation
    var step: Int { operation.step }
}

/// A claim, its groups and what is going on with them.
public struct ClaimView: Equatable, Sendable {
    /// A group of it.
    public struct Group: Equatable, Sendable {
        public var record: ClaimedGroup
        public var state: GroupState
        /// Whether the daemon or the owner's descriptors keep it owned in the kernel, as far as the daemon knows.
        public var isOwned: Bool
        /// Why it is not, in words.
        public var unownedReason: String?
        public var operation: GroupOperation?
        /// The drivers that members have now.
        public var drivers: [DeviceAddress: String]
        /// What is wrong with members, in words.
        public var problems: [DeviceAddress: String]
        /// What would help against those, of the members where that is known.
        public var remedies: [DeviceAddress: String] = [:]
        /// Why it is not back yet, and what would help; nil where its way back has not failed.
        public var setback: RestoreSetback?
    }

    public var claim: Claim
    public var groups: [Group]
    /// Groups of it that are back with the host, as they went.
    public var returned: [Group] = []
    /// All is back with the host.
    public var isOver: Bool { groups.isEmpty && !returned.isEmpty }
    /// What may be mapped, both ends inclusive.
    public var ranges: [ClosedRange<UInt64>]

    /// What is going on with the claim as a whole: what is going on with the group that is worst off.
    public var state: GroupState {
        groups.map(\.state).min { $0.rank < $1.rank } ?? .releasing
    }
}

extension GroupState {
    /// Where it stands among the states of one claim's groups: the lowest is worst off.
    fileprivate var rank: Int {
        switch self {
        case .restoring: 0
        case .releasing: 1
        case .claiming: 2
        case .degraded: 3
        case .claimed: 4
        case .unavailable, .available, .orphaned, .quarantined: 5
        }
    }
}

extension ClaimView {
    @LoopActor
    init(_ active: ActiveClaim) {
        claim = active.record
        ranges = active.space.ranges
        groups = active.record.groups.map { Group($0, of: active) }
        returned = active.returned
    }

    /// A claim of which only what is on record is to be shown.
    public init(of claim: Claim) {
        self.claim = claim
        groups = []
        ranges = []
    }
}

extension ClaimView.Group {
    @LoopActor
    init(_ group: ClaimedGroup, of active: ActiveClaim) {
        let work = active.work[group.id]
        var problems = work?.problems ?? [:]
        var remedies = work?.remedies ?? [:]
        for member in work?.unrestored ?? [] {
            problems[member.device] = member.reason
            remedies[member.device] = member.remedy
        }
        let ownable = active.ownableGroups(of: group.id)
        self.init(
            record: group, state: active.state(of: group),
            isOwned: !ownable.isEmpty && ownable.allSatisfy { active.isOwned($0, of: group.id) },
            unownedReason: active.unownedReason(of: group.id),
            operation: ClaimProgress(active, group.id)?.operation, drivers: work?.drivers ?? [:], problems: problems,
            remedies: remedies, setback: work?.setback)
    }
}

extension ClaimProgress {
    /// nil when nothing is going on with the group.
    @LoopActor
    init?(_ claim: ActiveClaim, _ group: GroupID) {
        guard let step = claim.work[group]?.step else { return nil }
        self.init(
            group: group,
            operation: GroupOperation(
                action: step.step.action, step: step.number, steps: step.count, member: step.member, pid: step.pid,
                seconds: step.began.duration(until: claim.host.now) / .seconds(1),
                isBlocked: step.isBlocked, waitsFor: step.waitsFor?.sentence, remedy: step.waitsFor?.remedy))
    }
}
