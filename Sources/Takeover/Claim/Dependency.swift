// What else a claim of groups is about: functions of other groups that go when a member leaves its driver, and functions
// whose driver a member depends on. Nobody can force what another claim holds of these.

import EventLoop
import Grouping
import Host
import Inventory
import Registry

extension Takeover {
    /// What keeps groups from being claimed because of what depends on them, or of what they depend on.
    ///
    /// - Parameters:
    ///   - records: the groups.
    ///   - own: those that the same claim has already.
    /// - Returns: the first obstacle; nil without one.
    func dependencyObstacle(_ records: [GroupRecord], besides own: [GroupID]) -> TakeoverError? {
        let snapshot = self.snapshot
        for record in records {
            for member in record.group.members {
                for dependent in snapshot.inventory.dependents(of: member) {
                    guard let other = snapshot.group(of: dependent), other.id != record.id else { continue }
                    let link = "\(dependent) goes when \(member) leaves its driver"
                    if own.contains(other.id) || records.contains(where: { $0.id == other.id }) {
                        return .wrongState(
                            subject: other.id.text, state: other.state.name,
                            reason: "\(link): one claim cannot have both; leave out one of the two, or detach it first")
                    }
                    guard let claim = claim(holding: dependent, in: other.id) else { continue }
                    return .relatedGroupBusy(other.id, state: other.state.name, claim: claim.record, reason: link)
                }
                guard let maker = snapshot.inventory.maker(of: member), let other = snapshot.group(of: maker),
                    other.id != record.id, !own.contains(other.id), let claim = claim(holding: maker, in: other.id)
                else { continue }
                return .relatedGroupBusy(
                    other.id, state: other.state.name, claim: claim.record,
                    reason: "\(member) comes from \(maker), and whoever has that can take it away")
            }
        }
        return nil
    }

    /// The claim that has a device, or its group; of several the first.
    private func claim(holding device: DeviceAddress, in group: GroupID) -> ActiveClaim? {
        claims.values.sorted { $0.id < $1.id }.first { $0[group] != nil || $0.has(device) }
    }
}

extension Snapshot {
    /// Functions of other groups, and of these, that go when the groups are taken.
    func functionsLost(with records: [GroupRecord]) -> [DeviceAddress] {
        var lost: [DeviceAddress] = []
        for member in records.flatMap(\.members) where member.isToBeUnbound {
            for dependent in inventory.dependents(of: member.device.address) where !lost.contains(dependent) {
                lost.append(dependent)
            }
        }
        return lost
    }
}

extension Member {
    /// Whether it has a host driver that a claim takes it from.
    var isToBeUnbound: Bool { device.pci != nil && !device.isBridge && device.driver != nil && state == .host }
}

extension ActiveClaim {
    /// Whether it has a device that is not back yet.
    func has(_ device: DeviceAddress) -> Bool {
        record.groups.contains { group in
            group.members.contains { $0.address == device && $0.isTouched && !$0.isRestored }
        }
    }

    /// Who would lose a function if a member left its driver now.
    func userOfDependents(of member: DeviceAddress) async -> OthersWait? {
        let dependents = takeover.snapshot.inventory.dependents(of: member)
        guard !dependents.isEmpty else { return nil }
        for claim in takeover.claims.values.sorted(by: { $0.id < $1.id }) where claim !== self {
            guard let device = dependents.first(where: claim.has) else { continue }
            return OthersWait(member: device, claim: "\(claim.record.title) of \(claim.record.owner.text)")
        }
        let holders: [DeviceHolder]
        do throws(HostError) { holders = try await takeover.holders(of: dependents) } catch {
            return dependents.first.map { OthersWait(member: $0, unknown: error) }
        }
        return holders.first.map { wait(for: [$0], of: $0.device) }
    }
}
