// What must be known before a group is taken: what the host would lose with it. What is in use refuses, what cannot be
// found out refuses too, and only a member that is named is taken all the same. What only warns is told with the claim.

import Grouping
import Host
import Inventory
import PCI
import Registry

/// The uses that the host, or another claim, has for the members of groups.
public enum Preflight {
    /// What has to be looked up of groups: their members, and the functions that go when these leave their drivers.
    public static func devices(of records: [GroupRecord], in snapshot: Snapshot) -> [DeviceAddress] {
        let members = records.flatMap(\.group.members)
        return members + snapshot.functionsLost(with: records).filter { !members.contains($0) }
    }

    /// All uses of groups.
    ///
    /// - Parameters:
    ///   - records: the groups.
    ///   - selectors: what was asked for, which decides what a function of the chipset means; nil where that was decided
    ///     before.
    ///   - found: what the host was found to use of their `devices`.
    ///   - known: which devices are meant by their places.
    ///   - snapshot: all groups, from which other uses follow.
    /// - Returns: those that were found, and those that follow.
    public static func uses(
        _ records: [GroupRecord], askedBy selectors: [GroupSelector]?, found: [DeviceUse],
        known: KnownDevices = KnownDevices(), in snapshot: Snapshot
    ) -> [DeviceUse] {
        found + records.flatMap(\.members).compactMap { replacement(of: $0, known, in: snapshot) }
            + records.flatMap { virtualFunctionUses($0, in: snapshot) }
            + records.flatMap { record in selectors.map { ChipsetFunctions.uses(record, askedBy: $0) } ?? [] }
    }

    /// What of uses speaks against a claim; what is forced does not count, nor what only warns.
    static func refusals(_ uses: [DeviceUse], force: [DeviceAddress]) -> [DeviceUse] {
        uses.filter { $0.stopsClaim && !force.contains($0.device) }
    }

    /// That a member is another device than the one that is meant, as the use that speaks against taking it.
    private static func replacement(of member: Member, _ known: KnownDevices, in snapshot: Snapshot) -> DeviceUse? {
        known.replacement(of: member.device, in: snapshot.inventory).map { replacement in
            DeviceUse(member.device.address, .replaced(before: replacement.before, now: replacement.now))
        }
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
