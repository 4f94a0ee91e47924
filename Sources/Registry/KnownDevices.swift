// Which device is meant by a place: the one that sat there in the last boot, unless another was accepted since. Whoever
// claims a place by its address would otherwise get whatever was put there meanwhile.

import Grouping
import Inventory
import PCI

/// The devices that are meant by their places.
public struct KnownDevices: Equatable, Sendable {
    /// Another device than the one that is meant.
    public struct Replacement: Equatable, Sendable {
        public var before: String
        public var now: String
    }

    /// What was accepted in this boot: identities by place, as a remembered boot has them.
    public private(set) var accepted: [String: String]
    private let lastBoot: [String: String]

    /// Nothing is known of any device, so that none is another one.
    public init() { (lastBoot, accepted) = ([:], [:]) }

    /// Those of the last boot, and what was accepted since.
    public init(lastBoot: RememberedBoot, accepted: [String: String]) {
        let members = lastBoot.groups.flatMap(\.members)
        self.lastBoot = Dictionary(
            members.compactMap { member in member.identity.map { (member.place, $0) } }, uniquingKeysWith: { $1 })
        self.accepted = accepted
    }

    /// What is different about a device; nil where it is the one that is meant, or that cannot be told.
    public func replacement(of device: Device, in inventory: Inventory) -> Replacement? {
        guard let (place, now) = Self.placed(device, in: inventory),
            let before = accepted[place] ?? lastBoot[place], before != now
        else { return nil }
        return Replacement(before: before, now: now)
    }

    /// From now on a device is the one that is meant by its place.
    public mutating func accept(_ device: Device, in inventory: Inventory) {
        guard let (place, now) = Self.placed(device, in: inventory) else { return }
        accepted[place] = now
    }

    private static func placed(_ device: Device, in inventory: Inventory) -> (place: String, identity: String)? {
        device.pci?.identification.summary.map { (device.place(in: inventory), $0) }
    }
}
