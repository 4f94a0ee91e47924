// Identities over time: a group is named after its first member when it appears, and keeps that name until it is empty,
// also when the first member leaves or a lower one arrives.

import Inventory

/// A group as it was called before, and what it had in it.
public struct KnownGroup: Equatable, Sendable {
    public var id: GroupID
    /// In the order of the group's members.
    public var members: [DeviceAddress]

    public init(_ id: GroupID, _ members: [DeviceAddress]) {
        self.id = id
        self.members = members
    }
}

extension Grouping {
    /// Gives the groups that hold devices of earlier groups their identities back.
    public mutating func keepIdentities(of earlier: [Group]) {
        keepIdentities(of: earlier.map { KnownGroup($0.id, $0.members) })
    }

    /// Gives the groups that hold devices of earlier groups their identities back. Where an earlier group was split,
    /// the part that holds the first of its remaining members keeps the name; where several were joined, the result
    /// has the name of the one that comes first.
    public mutating func keepIdentities(of earlier: [KnownGroup]) {
        var position: [DeviceAddress: Int] = [:]
        for (number, group) in groups.enumerated() {
            for member in group.members { position[member] = number }
        }
        var kept: [Int: GroupID] = [:]
        for group in earlier {
            guard let heir = group.members.lazy.compactMap({ position[$0] }).first, kept[heir] == nil else { continue }
            kept[heir] = group.id
        }
        var renamed: [GroupID: GroupID] = [:]
        var taken = Set(kept.values)
        for number in groups.indices {
            let wanted = groups[number].id
            var identity = kept[number] ?? wanted
            if kept[number] == nil {
                var suffix = 2
                while !taken.insert(identity).inserted {
                    identity = wanted.alternative(suffix)
                    suffix += 1
                }
            }
            renamed[wanted] = identity
            groups[number].id = identity
        }
        for number in disagreements.indices {
            disagreements[number].group = renamed[disagreements[number].group] ?? disagreements[number].group
        }
    }
}
