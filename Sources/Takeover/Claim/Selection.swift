// From selectors to groups: which are meant, and whether they can be had.

import Grouping
import Host
import Inventory
import PCI
import Registry

/// The groups that selectors lead to.
enum Selection {
    /// The groups, each once, in the order of the selectors.
    ///
    /// - Parameters:
    ///   - selectors: what is asked for.
    ///   - snapshot: the groups that there are.
    ///   - refusals: what would refuse a claim of a group. Selectors by IDs pass over groups where something does; one that
    ///     is named is taken for what it is.
    /// - Returns: whole groups, and what passed over others.
    /// - Throws: which selector matches nothing, or what stands against a group.
    static func groups(
        _ selectors: [GroupSelector], in snapshot: Snapshot, refusals: (GroupRecord) -> [DeviceUse] = { _ in [] }
    ) throws(TakeoverError) -> (chosen: [GroupRecord], passedOver: [DeviceUse]) {
        var chosen: [GroupRecord] = []
        var passedOver: [DeviceUse] = []
        func choose(_ record: GroupRecord) {
            if !chosen.contains(where: { $0.id == record.id }) { chosen.append(record) }
        }
        for (index, selector) in selectors.enumerated() {
            switch selector {
            case .group(let text):
                guard let record = GroupID(text).flatMap({ snapshot.group($0) }) else { throw .noSuchGroup(text) }
                choose(record)
            case .device(let address):
                guard snapshot.inventory[address] != nil else { throw .noSuchDevice(address, reason: nil) }
                guard let record = snapshot.group(of: address) else {
                    throw .noSuchDevice(address, reason: snapshot.reasonUngrouped(address) ?? "it is in no group")
                }
                choose(record)
            case .endpoint(let pattern, let count):
                var found = 0
                var used: [DeviceUse] = []
                for record in candidates(pattern, in: snapshot) where found < count {
                    guard !chosen.contains(where: { $0.id == record.id }) else { continue }
                    let refusals = refusals(record)
                    if refusals.isEmpty {
                        choose(record)
                        found += 1
                    } else {
                        used += refusals
                    }
                }
                guard found == count else {
                    throw .notEnoughGroups(selector: index, wanted: count, found: found, inUse: used)
                }
                for use in used where !passedOver.contains(use) { passedOver.append(use) }
            }
        }
        return (chosen, passedOver)
    }

    /// The groups that selectors by IDs may lead to.
    static func candidates(_ selectors: [GroupSelector], in snapshot: Snapshot) -> [GroupRecord] {
        var candidates: [GroupRecord] = []
        for case .endpoint(let pattern, _) in selectors { candidates += self.candidates(pattern, in: snapshot) }
        return candidates
    }

    /// The groups that can be had and have an endpoint of a pattern, but for what the host uses.
    private static func candidates(_ pattern: EndpointPattern, in snapshot: Snapshot) -> [GroupRecord] {
        snapshot.groups.filter { record in
            guard record.state == .available, record.members.contains(where: { pattern.matches($0.device) }) else {
                return false
            }
            let lost = snapshot.functionsLost(with: [record])
            return record.members.contains {
                pattern.matches($0.device) && !lost.contains($0.device.address)
            } && !isTiedToClaim(record, in: snapshot)
        }
    }

    /// Whoever asks for a device is not to get its group without it.
    static func check(
        _ selectors: [GroupSelector], against lost: [DeviceAddress], in snapshot: Snapshot
    ) throws(TakeoverError) {
        for case .device(let address) in selectors where lost.contains(address) {
            guard let maker = snapshot.inventory.maker(of: address), let record = snapshot.group(of: address) else {
                continue
            }
            throw .wrongState(
                subject: record.id.text, state: record.state.name,
                reason:
                    "\(address) goes when \(maker) leaves its driver, and the two cannot be isolated from each other: "
                    + "claim \(maker), which takes the group without it")
        }
    }

    /// Whether a claim has a group that a member depends on, or one that depends on a member.
    private static func isTiedToClaim(_ record: GroupRecord, in snapshot: Snapshot) -> Bool {
        record.group.members.contains { member in
            let others =
                snapshot.inventory.dependents(of: member) + [snapshot.inventory.maker(of: member)].compactMap { $0 }
            return others.contains { other in
                guard let group = snapshot.group(of: other), group.id != record.id else { return false }
                return group.claim != nil
            }
        }
    }

    /// What keeps a group from being claimed now; nil when nothing does.
    static func obstacle(_ record: GroupRecord, claims: (String) -> Claim?) -> TakeoverError? {
        switch record.state {
        case .available: return nil
        case .unavailable(let reason): return .notClaimable(record.id, reason: reason)
        case .orphaned:
            return .wrongState(
                subject: record.id.text, state: record.state.name,
                reason:
                    "it is on vfio drivers already, and nobody claimed it: vfiogroupctl adopt \(record.id) makes a claim of it"
            )
        case .quarantined(let reason):
            return .wrongState(
                subject: record.id.text, state: record.state.name,
                reason:
                    "\(reason); its devices may hold what their last owner left in them. vfiogroupctl unquarantine "
                    + "\(record.id) lets it be claimed again")
        case .claiming, .claimed, .degraded, .releasing, .restoring:
            return .groupBusy(record.id, state: record.state.name, claim: record.claim.flatMap(claims))
        }
    }

    /// How many groups a platform lets share an address space; nil for any number.
    ///
    /// On POWER7 (P7IOC) a TCE table belongs to one PE, so that a container holds one group
    /// (Documentation/kernel.md, law 13).
    static func limit(_ records: [GroupRecord], in inventory: Inventory) -> Int? {
        let bridges = Set(records.flatMap(\.group.hostBridges))
        let isP7IOC = inventory.hostBridges.contains { bridges.contains($0.id) && $0.partitioning == .p7ioc }
        return isP7IOC ? 1 : nil
    }
}
