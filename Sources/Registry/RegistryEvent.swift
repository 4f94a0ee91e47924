// What changed between two snapshots, one thing an event, for those who watch.

import Grouping
import Inventory

/// One change.
public struct RegistryEvent: Equatable, Sendable {
    /// What kind of change.
    public enum Kind: Sendable {
        case groupAdded
        case groupRemoved
        /// A device joined a group that was there.
        case memberAdded
        /// A device left a group that is still there.
        case memberRemoved
        /// A member has another driver, or none, or one now.
        case memberDriverChanged
        /// The group's state changed.
        case groupStateChanged
        /// A device that is in no group appeared.
        case deviceAdded
        /// A device that was in no group went away.
        case deviceRemoved
        /// A claimed group is no longer complete or no longer owned in the kernel.
        case degraded
    }

    /// The generation that it came with.
    public var generation: Int
    /// What kind of change.
    public var kind: Kind
    /// The group it is about.
    public var group: GroupID?
    /// The claim it is about.
    public var claim: String?
    /// The device it is about.
    public var member: DeviceAddress?
    /// What is different, in words.
    public var cause: String?

    public init(
        generation: Int, kind: Kind, group: GroupID? = nil, claim: String? = nil, member: DeviceAddress? = nil,
        cause: String? = nil
    ) {
        self.generation = generation
        self.kind = kind
        self.group = group
        self.claim = claim
        self.member = member
        self.cause = cause
    }
}

extension RegistryEvent {
    /// The changes from one snapshot to the next: what went first, then what came, then what is different.
    static func changes(from old: Snapshot, to new: Snapshot) -> [RegistryEvent] {
        var events: [RegistryEvent] = []
        func add(
            _ kind: Kind, group: GroupID? = nil, claim: String? = nil, member: DeviceAddress? = nil,
            cause: String? = nil
        ) {
            events.append(
                RegistryEvent(
                    generation: new.generation, kind: kind, group: group, claim: claim, member: member, cause: cause))
        }
        for record in old.groups {
            guard let successor = new.group(record.id) else {
                add(.groupRemoved, group: record.id, cause: whatBecame(of: record, in: new))
                continue
            }
            let members = Set(successor.group.members)
            for member in record.group.members where !members.contains(member) {
                add(
                    .memberRemoved, group: record.id, member: member,
                    cause: new.inventory[member] == nil
                        ? "the device left the host"
                        : new.group(of: member).map { "it is now in group \($0.id)" } ?? "it is now in no group")
            }
        }
        for device in old.ungrouped where new.inventory[device.device] == nil {
            add(.deviceRemoved, member: device.device, cause: "the device left the host")
        }
        for record in new.groups {
            guard let predecessor = old.group(record.id) else {
                add(.groupAdded, group: record.id, member: record.group.members.first)
                continue
            }
            let members = Set(predecessor.group.members)
            for member in record.group.members where !members.contains(member) {
                add(
                    .memberAdded, group: record.id, member: member,
                    cause: old.inventory[member] == nil ? "the device came to the host" : "it was in another group")
            }
            appendDriverChanges(of: record, since: old, to: &events, generation: new.generation)
            if predecessor.state != record.state {
                let reason = record.state.reason.map { ": \($0)" } ?? ""
                add(
                    .groupStateChanged, group: record.id, claim: record.claim ?? predecessor.claim,
                    cause: "\(predecessor.state.name) before, \(record.state.name) now\(reason)")
                if case .degraded(let reason) = record.state, predecessor.state.name != record.state.name {
                    add(.degraded, group: record.id, claim: record.claim, cause: reason)
                }
            }
        }
        for device in new.ungrouped where old.inventory[device.device] == nil {
            add(.deviceAdded, member: device.device, cause: device.reason)
        }
        return events
    }

    private static func whatBecame(of record: GroupRecord, in new: Snapshot) -> String {
        let heirs = Set(record.group.members.compactMap { new.group(of: $0)?.id }).sorted()
        if heirs.isEmpty { return "all of its devices left the host or are in no group" }
        return "its devices are now in \(heirs.map(\.text).joined(separator: ", "))"
    }

    private static func appendDriverChanges(
        of record: GroupRecord, since old: Snapshot, to events: inout [RegistryEvent], generation: Int
    ) {
        for member in record.members {
            guard let before = old.inventory[member.device.address], before.driver != member.device.driver else {
                continue
            }
            events.append(
                RegistryEvent(
                    generation: generation, kind: .memberDriverChanged, group: record.id,
                    member: member.device.address,
                    cause: "\(before.driver ?? "no driver") before, \(member.device.driver ?? "no driver") now"))
        }
    }
}
