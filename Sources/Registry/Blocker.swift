// Completeness: a group can be used when no member is in the hands of a host driver. Where it cannot, each member that
// stands in the way is named, with what would move it.

import Inventory
import PCI

/// A member that keeps its group from being complete.
public struct Blocker: Equatable, Sendable {
    /// The member.
    public var device: DeviceAddress
    /// What the member is, where that is known.
    public var classCode: ClassCode?
    /// The driver that has it.
    public var driver: String
    /// Whether it is a bridge. The sentences are made of this when they are asked for: kept, they would be most of what a
    /// large host's groups take.
    var isBridge: Bool
}

extension Blocker {
    /// The blocker that this member is; nil when it stands in nobody's way.
    init?(_ device: Device, state: MemberState) {
        guard state == .host, let driver = device.driver else { return nil }
        self.device = device.address
        classCode = device.pci?.identification.classCode
        self.driver = driver
        isBridge = device.isBridge
    }

    /// Why that is in the way, in words.
    public var reason: String {
        isBridge
            ? "the bridge is bound to \(driver), which may do DMA of its own, so the kernel counts the group as "
                + "in use by the host"
            : "the host driver \(driver) has it and may do DMA"
    }
}

extension GroupRecord {
    /// What would move a blocker, in words. Whoever unbinds it by hand, or binds it to a vfio driver, has a group that nobody
    /// claimed, whose devices nobody gives back.
    public func remedy(for blocker: Blocker) -> String {
        switch state {
        case .unavailable: "nothing would help: the group can never be claimed here"
        case .available where !blocker.isBridge && blocker.device.pci == nil:
            "unbind it from \(blocker.driver), because devices of the bus \(blocker.device.bus) are not taken from their "
                + "drivers; then vfiogroupctl claim \(id)"
        case .available:
            "vfiogroupctl claim \(blocker.device) takes the whole group from its drivers, and its release gives it back"
        case .orphaned: "vfiogroupctl adopt \(id) makes a claim of the group, and takes it along"
        case .quarantined: "vfiogroupctl unquarantine \(id) lets the group be claimed again"
        case .claiming, .claimed, .degraded, .releasing, .restoring:
            "vfiogroupctl claims\(claim.map { " \($0)" } ?? "") tells how its claim stands"
        }
    }
}
