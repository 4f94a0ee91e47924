// What became of a claim, one thing an event, for those who watch.

import Grouping
import Inventory

/// One thing that happened to a claim, or that was done for it.
public struct ClaimEvent: Equatable, Sendable {
    /// What happened, and to what of the claim.
    public enum Change: Equatable, Sendable {
        /// It was made.
        case added
        /// It was made of a group whose members were found on vfio drivers.
        case adopted(GroupID)
        /// It is handed over, held again, on its way back, or has other groups.
        case changed
        /// One of its groups is back with the host, or owned in the kernel again.
        case groupChanged(GroupID)
        /// It is over.
        case removed
        /// A group of it may not be claimed any more.
        case quarantined(GroupID)
        /// A device came into a group of it, and is a member now.
        case memberAdded(DeviceAddress, to: GroupID)
        /// The override of a member was changed, and is set again.
        case memberPinned(DeviceAddress, in: GroupID)
        /// Somebody wants a member to leave: its owner should let go of it.
        case removalRequested(DeviceAddress, in: GroupID)
        /// A member that had lost its vfio driver was taken again.
        case memberRetaken(DeviceAddress, in: GroupID)
    }

    /// The claim's identity.
    public var claim: String
    public var change: Change
    /// What is different, in words.
    public var cause: String
}

extension ClaimEvent {
    /// The group that it is about.
    public var group: GroupID? {
        switch change {
        case .added, .changed, .removed: nil
        case .adopted(let group), .groupChanged(let group), .quarantined(let group): group
        case .memberAdded(_, let group), .memberPinned(_, let group), .removalRequested(_, let group),
            .memberRetaken(_, let group):
            group
        }
    }

    /// The device that it is about.
    public var member: DeviceAddress? {
        switch change {
        case .added, .adopted, .changed, .groupChanged, .removed, .quarantined: nil
        case .memberAdded(let member, _), .memberPinned(let member, _), .removalRequested(let member, _),
            .memberRetaken(let member, _):
            member
        }
    }
}
