// A group as the registry knows it: what it is, in what state its members are, and what it can be used for now.

import Grouping
import Inventory

/// A device seen as part of a group.
public struct Member: Equatable, Sendable {
    /// The device.
    public var device: Device
    /// The number of its partitionable endpoint, where the platform has them.
    public var partitionableEndpoint: Int?
    /// In whose hands it is.
    public var state: MemberState
}

/// A group, its members and its verdicts at one moment.
public struct GroupRecord: Equatable, Sendable {
    /// What the group is.
    public var group: Group
    /// Its members, in the group's order.
    public var members: [Member]
    /// The members that keep it from being complete.
    public var blockers: [Blocker]
    /// What can be done with it.
    public var state: GroupState
    /// The claim that has it.
    public var claim: String?

    /// The identity.
    public var id: GroupID { group.id }
    /// Whether no member is in the hands of a host driver.
    public var isComplete: Bool { blockers.isEmpty }

    init(_ group: Group, in inventory: Inventory, endpoints: [DeviceAddress: Int], holding: Holding?) {
        self.group = group
        members = group.members.compactMap { inventory[$0] }.map {
            Member(
                device: $0, partitionableEndpoint: endpoints[$0.address],
                state: MemberState(of: $0, kernel: inventory.kernel))
        }
        blockers = members.compactMap { Blocker($0.device, state: $0.state) }
        claim = holding?.claim
        if let holding {
            state = holding.state
        } else if let reason = group.claimability.reason {
            state = .unavailable(reason: reason)
        } else if members.contains(where: { $0.state == .held }) {
            state = .orphaned
        } else {
            state = .available
        }
    }
}
