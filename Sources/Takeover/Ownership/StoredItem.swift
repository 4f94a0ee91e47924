// What of a claim outlives the daemon, and what it is called in the store of descriptors.

import Host
import Inventory

/// A descriptor of a claim that the store keeps.
enum StoredItem: Hashable, Sendable {
    /// A pidfd of the owner's process.
    case owner
    /// The root of the claim's address space, or what keeps a kernel group owned.
    case node(VFIONode)

    /// Its name in the store, by which the next daemon finds it: what a claim can have there follows from the claim's
    /// record, so that no name is ever taken apart.
    func name(of claim: String) -> String { "\(claim).\(word)" }

    private var word: String {
        switch self {
        case .owner: "owner"
        case .node(.iommufd): "iommufd"
        case .node(.container): "container"
        case .node(.group(let number)): "group-\(number)"
        case .node(.cdev(let device)): "cdev-" + Self.escaped("\(device.bus)-\(device.name)")
        }
    }

    /// A store takes printable ASCII without `:`; what else a device's name has is written as URLs have it.
    private static func escaped(_ text: String) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Claim {
    /// What of it may be in the store.
    var storableItems: [StoredItem] {
        var items: [StoredItem] = [.owner, .node(.iommufd), .node(.container)]
        for group in groups {
            items += group.kernelGroups.map { .node(.group($0)) }
            items += group.members.map { .node(.cdev($0.address)) }
        }
        return items
    }

    /// How many descriptors of it the store has at most: its owner's, the root of its address space, what keeps each of
    /// its kernel groups owned, and the members that stay with the daemon when the others are handed over.
    var storeDemand: Int {
        2 + groups.storeDemand + leftOut.count
    }
}

extension [ClaimedGroup] {
    /// How many descriptors keep them owned.
    var storeDemand: Int { reduce(0) { $0 + Swift.max($1.kernelGroups.count, 1) } }
}
