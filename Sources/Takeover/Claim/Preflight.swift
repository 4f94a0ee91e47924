// What must be known before a group is taken: what the host would lose with it. What is in use refuses, what cannot be
// found out refuses too, and only a member that is named is taken all the same. What only warns is told with the claim.

import Grouping
import Host
import Inventory
import PCI
import Registry

/// The uses that the host, or another claim, has for the members of groups.
enum Preflight {
    /// All uses of the groups' members: what was found on the host, and what follows from other groups.
    static func uses(
        _ records: [GroupRecord], askedBy selectors: [GroupSelector], found: [DeviceUse], in snapshot: Snapshot
    ) -> [DeviceUse] {
        found
            + records.flatMap {
                virtualFunctionUses($0, in: snapshot) + ChipsetFunctions.uses($0, askedBy: selectors)
            }
    }

    /// What speaks against taking the groups; what is forced does not count, nor what only warns.
    static func refusals(_ uses: [DeviceUse], force: [DeviceAddress]) -> [DeviceUse] {
        uses.filter { $0.stopsClaim && !force.contains($0.device) }
    }

    /// A physical function and its virtual functions exclude each other: without its host driver a physical function
    /// has none, and whoever has it can change what its virtual functions do.
    private static func virtualFunctionUses(_ record: GroupRecord, in snapshot: Snapshot) -> [DeviceUse] {
        record.members.compactMap { member in
            guard let function = member.device.pci else { return nil }
            if !function.virtualFunctions.isEmpty {
                return DeviceUse(member.device.address, .virtualFunctions(count: function.virtualFunctions.count))
            }
            guard let physical = function.virtualFunction?.physicalFunction,
                let owner = snapshot.group(of: .pci(physical)), let claim = owner.claim, owner.id != record.id
            else { return nil }
            return DeviceUse(member.device.address, .physicalFunctionClaimed(physical, claim: claim))
        }
    }
}
