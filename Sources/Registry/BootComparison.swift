// How this boot differs from the last one: which groups joined, split, came and went, what has another number, and where
// another device sits than before.

import Grouping
import Inventory

/// What is different between two boots.
public struct BootComparison: Equatable, Sendable {
    /// One difference.
    public struct Change: Equatable, Sendable {
        public enum Kind: String, Sendable, CaseIterable {
            case appeared, went, joined, split, renumbered, replaced
        }

        public var kind: Kind
        /// The identities of the groups that it is about, as they are now; as they were, where they are gone.
        public var groups: [String]
        /// The address of the device that it is about, now; then, where it is gone.
        public var device: String?
        /// What is different, in a sentence.
        public var sentence: String
        /// Why, in words, where that is known.
        public var cause: String?
    }

    /// The release of the kernel then.
    public var kernel: String?
    public var changes: [Change] = []
    /// The sentences about each group.
    public var sentences: [GroupID: [String]] = [:]
}

extension BootComparison {
    /// Compares two boots of one machine.
    ///
    /// - Parameters:
    ///   - before: the last boot.
    ///   - now: this one.
    ///   - explain: why members of a group are together, in words; asked for groups that joined or have more members.
    ///   - separate: what keeps two groups apart, in words; asked for what was one group.
    public init(
        of before: RememberedBoot, with now: RememberedBoot, explain: (GroupID) -> String? = { _ in nil },
        separate: (GroupID, GroupID) -> String? = { _, _ in nil }
    ) {
        kernel = before.kernel
        let old = Places(before)
        let new = Places(now)
        let shared = Self.causes(before, now)
        for group in now.groups {
            let origins = Self.distinct(group.members.compactMap { old.byPlace[$0.place]?.group })
            if origins.isEmpty {
                add(.appeared, [group.id], "the group \(group.id) was not there: \(Self.list(group.members))")
                continue
            }
            if origins.count > 1 {
                let names = origins.map { before.groups[$0].id }.joined(separator: ", ")
                add(
                    .joined, [group.id], "\(group.id) holds together what were \(origins.count) groups: \(names)",
                    cause: shared ?? GroupID(group.id).flatMap(explain))
            } else {
                compare(before.groups[origins[0]], with: group, shared, new)
            }
            for member in group.members where old.byPlace[member.place] == nil {
                add(
                    .appeared, [group.id], device: member.address, "\(member.address) was in no group, or not there",
                    cause: GroupID(group.id).flatMap(explain))
            }
        }
        for group in before.groups {
            let heirs = Self.distinct(group.members.compactMap { new.byPlace[$0.place]?.group })
            guard !heirs.isEmpty else {
                add(.went, [group.id], "the group \(group.id) is not there any more: \(Self.list(group.members))")
                continue
            }
            let names = heirs.map { now.groups[$0].id }
            if heirs.count > 1 {
                add(
                    .split, names,
                    "what was the group \(group.id) is \(heirs.count) groups: "
                        + names.joined(separator: ", "),
                    cause: shared ?? Self.cause(between: names, separate))
            }
            for member in group.members where new.byPlace[member.place] == nil {
                add(
                    .went, names, device: member.address,
                    "\(member.address) is in no group any more, or not there")
            }
        }
        compareDevices(now, old, new)
        for change in changes {
            for group in change.groups.compactMap({ GroupID($0) }) {
                sentences[group, default: []].append(
                    change.sentence + (change.cause.map { " (\($0))" } ?? ""))
            }
        }
    }

    /// Numbers, of a group that has all its members from one.
    private mutating func compare(
        _ before: RememberedBoot.Group, with now: RememberedBoot.Group, _ shared: String?, _ new: Places
    ) {
        let isWhole = before.members.allSatisfy { member in
            new.byPlace[member.place].map { $0.id == now.id } ?? true
        }
        guard isWhole else { return }
        if before.id != now.id { add(.renumbered, [now.id], "the group \(now.id) was called \(before.id)") }
        if before.kernelGroups != now.kernelGroups {
            add(
                .renumbered, [now.id],
                "\(now.id) is kernel group \(Self.list(now.kernelGroups)), and was \(Self.list(before.kernelGroups))",
                cause: shared)
        }
    }

    /// Addresses and identities of devices that stayed in their places.
    private mutating func compareDevices(_ now: RememberedBoot, _ old: Places, _ new: Places) {
        for group in now.groups {
            for member in group.members {
                guard let earlier = old.byPlace[member.place]?.member else { continue }
                if let before = earlier.identity, let after = member.identity, before != after {
                    add(
                        .replaced, [group.id], device: member.address,
                        "\(member.address) is another device: \(after), and was \(before)")
                } else if earlier.address != member.address {
                    add(
                        .renumbered, [group.id], device: member.address,
                        "\(member.address) had the address \(earlier.address)")
                }
            }
        }
    }

    private mutating func add(
        _ kind: Change.Kind, _ groups: [String], device: String? = nil, _ sentence: String, cause: String? = nil
    ) {
        changes.append(Change(kind: kind, groups: groups, device: device, sentence: sentence, cause: cause))
    }

    /// What changed for the host as a whole, which may be why its groups did.
    private static func causes(_ before: RememberedBoot, _ now: RememberedBoot) -> String? {
        var causes: [String] = []
        if let old = before.kernel, let new = now.kernel, old != new {
            causes.append("the kernel is \(new), and was \(old)")
        }
        let (added, dropped) = (
            now.parameters.filter { !before.parameters.contains($0) },
            before.parameters.filter { !now.parameters.contains($0) }
        )
        if !added.isEmpty { causes.append("the kernel was started with \(added.joined(separator: " "))") }
        if !dropped.isEmpty { causes.append("the kernel was started without \(dropped.joined(separator: " "))") }
        let (earlier, later) = (Set(before.groups.map(\.backend)), Set(now.groups.map(\.backend)))
        if earlier != later, !earlier.isEmpty, !later.isEmpty {
            causes.append(
                "the backend is \(later.sorted().joined(separator: ", ")), and was "
                    + earlier.sorted().joined(separator: ", "))
        }
        return causes.isEmpty ? nil : causes.joined(separator: "; ")
    }

    private static func cause(between names: [String], _ separate: (GroupID, GroupID) -> String?) -> String? {
        guard let first = GroupID(names[0]), let second = GroupID(names[1]) else { return nil }
        return separate(first, second)
    }

    private static func list(_ members: [RememberedBoot.Member]) -> String {
        let names = members.prefix(4).map(\.address).joined(separator: ", ")
        return members.count > 4 ? "\(names) and \(members.count - 4) more" : names
    }

    private static func list(_ numbers: [Int]) -> String {
        numbers.isEmpty ? "none" : numbers.map(String.init).joined(separator: ", ")
    }

    private static func distinct(_ numbers: [Int]) -> [Int] { Set(numbers).sorted() }
}

/// The members of a boot by their places.
private struct Places {
    var byPlace: [String: (group: Int, id: String, member: RememberedBoot.Member)] = [:]

    init(_ boot: RememberedBoot) {
        for (index, group) in boot.groups.enumerated() {
            for member in group.members { byPlace[member.place] = (index, group.id, member) }
        }
    }
}
