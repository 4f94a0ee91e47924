// The registry at one moment. Readers keep one as long as they like; the writer makes a new one.

import Grouping
import Inventory
import PCI

/// All that is known, immutable.
public struct Snapshot: Sendable {
    /// Counts the changes since the daemon started, from 1.
    public let generation: Int
    /// What was read.
    public let inventory: Inventory
    /// The groups, in the order of their first members.
    public let groups: [GroupRecord]
    /// The devices in no group, ascending.
    public let ungrouped: [UngroupedDevice]
    /// Where backends and kernel disagree.
    public let disagreements: [Disagreement]
    /// Which backend decided for which host bridge.
    public let choices: [HostBridgeID: BackendChoice]

    /// The PE numbers of devices, those in no group too; empty where the platform has no PEs.
    public let endpoints: [DeviceAddress: Int]
    /// What was odd: in the inventory, and where a backend derives something else than the platform says.
    public let warnings: [InventoryWarning]

    private let byID: [GroupID: Int]
    private let byDevice: [DeviceAddress: Int]
    private let byKernelGroup: [Int: Int]
    private let ungroupedByDevice: [DeviceAddress: Int]

    init(generation: Int, inventory: Inventory, grouping: Grouping, holdings: [GroupID: Holding] = [:]) {
        self.generation = generation
        self.inventory = inventory
        let groups = grouping.groups.map {
            GroupRecord($0, in: inventory, endpoints: grouping.endpoints, holding: holdings[$0.id])
        }
        self.groups = groups
        ungrouped = grouping.ungrouped
        disagreements = grouping.disagreements
        choices = grouping.choices
        endpoints = grouping.endpoints
        warnings = inventory.warnings + grouping.warnings
        byID = Dictionary(uniqueKeysWithValues: zip(groups.map(\.id), groups.indices))
        var byDevice: [DeviceAddress: Int] = [:]
        var byKernelGroup: [Int: Int] = [:]
        for (position, record) in groups.enumerated() {
            for member in record.group.members { byDevice[member] = position }
            for number in record.group.kernelGroups { byKernelGroup[number] = position }
        }
        self.byDevice = byDevice
        self.byKernelGroup = byKernelGroup
        ungroupedByDevice = Dictionary(
            uniqueKeysWithValues: zip(grouping.ungrouped.map(\.device), grouping.ungrouped.indices))
    }

    /// The group of this identity.
    public func group(_ id: GroupID) -> GroupRecord? { byID[id].map { groups[$0] } }

    /// The group that this device is a member of.
    public func group(of device: DeviceAddress) -> GroupRecord? { byDevice[device].map { groups[$0] } }

    /// The group that holds the kernel group of this number.
    public func group(kernelGroup number: Int) -> GroupRecord? { byKernelGroup[number].map { groups[$0] } }

    /// The groups that are not as they were in an earlier snapshot, those that are gone too.
    public func groupsChanged(since earlier: Snapshot) -> [GroupID] {
        guard generation != earlier.generation else { return [] }
        return groups.filter { earlier.group($0.id) != $0 }.map(\.id)
            + earlier.groups.filter { group($0.id) == nil }.map(\.id)
    }

    /// Why a device is in no group; nil when it is in one, or is not there.
    public func reasonUngrouped(_ device: DeviceAddress) -> String? {
        ungroupedByDevice[device].map { ungrouped[$0].reason }
    }
}
