// What a claim would do, worked out and not done: it is chosen, looked up and read as for a claim, and then dropped.

import EventLoop
import Grouping
import Host
import Inventory
import Registry

/// What a claim would do now.
public struct ClaimPlan: Sendable {
    /// A group that would be taken.
    public struct Group: Sendable {
        public var id: GroupID
        public var kernelGroups: [Int]
        /// Its members, as a claim puts them on record.
        public var members: [ClaimedMember]
        /// Those of them that a selector asks for; the others come along.
        public var selected: Set<DeviceAddress>
        /// Functions that would go with the driver of a member.
        public var lost: [DeviceAddress]
        /// The steps, in their order.
        public var steps: [Step]
    }

    /// A step that would be taken.
    public struct Step: Equatable, Sendable {
        /// What is done, in a word.
        public var action: String
        public var member: DeviceAddress?
        /// The driver that is loaded.
        public var driver: String?
        /// The kernel group that is owned.
        public var kernelGroup: Int?

        init(_ step: TakeoverStep) {
            action = step.action
            member = step.member
            if case .load(let name) = step { driver = name }
            if case .own(let number) = step { kernelGroup = number }
        }
    }

    /// The claim that would be made, which nobody has.
    public var claim: Claim
    public var groups: [Group]
    /// What is used of the groups.
    public var uses: [DeviceUse]
    /// Whether the claim would be refused because of these.
    public var isRefused: Bool
    /// What is used of groups that selectors by IDs passed over.
    public var passedOver: [DeviceUse]
}

extension Takeover {
    /// Says what a claim would do, and changes nothing. It does not wait for other claims.
    ///
    /// - Parameters:
    ///   - request: the claim.
    ///   - owner: who would have it.
    /// - Returns: what would be done, also where the host's uses refuse it.
    /// - Throws: what else would refuse the claim.
    public func plan(_ request: ClaimRequest, for owner: Owner) async throws(TakeoverError) -> ClaimPlan {
        var request = request
        request.wait = .zero
        let (claim, choice) = try await prepareClaim(request, for: owner, nil)
        let deadline = host.now + timing.patience
        var groups: [ClaimPlan.Group] = []
        for record in choice.records {
            do throws(StepFailure) { try await recordMembers(of: record.id, in: claim, deadline, false) } catch {
                throw .failed(error, unrestored: [])
            }
            guard let group = claim[record.id] else { continue }
            groups.append(
                ClaimPlan.Group(
                    id: record.id, kernelGroups: record.group.kernelGroups, members: group.members,
                    selected: request.selectors.reduce(into: []) { $0.formUnion($1.members(of: record)) },
                    lost: snapshot.functionsLost(with: [record]),
                    steps: group.stepsToTake(kernelGroup: claim.kernelGroup, forced: request.force)
                        .map(ClaimPlan.Step.init)))
        }
        return ClaimPlan(
            claim: claim.record, groups: groups, uses: choice.uses, isRefused: !choice.refusals.isEmpty,
            passedOver: choice.passedOver)
    }
}

extension GroupSelector {
    /// The members of a group that it asks for.
    fileprivate func members(of record: GroupRecord) -> [DeviceAddress] {
        switch self {
        case .group(let id): id == record.id.text ? record.group.members : []
        case .device(let address): record.group.members.filter { $0 == address }
        case .endpoint(let pattern, _):
            record.members.map(\.device).filter(pattern.matches).map(\.address)
        }
    }
}
