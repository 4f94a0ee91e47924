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

    /// What would move it, in words.
    public var remedy: String {
        if isBridge {
            return "unbind it from \(driver), or bind it to pci-stub; a bridge cannot be bound to vfio-pci and does "
                + "not need to be"
        }
        let target = device.pci != nil ? "vfio-pci" : "the vfio driver of the bus \(device.bus)"
        return "take it from \(driver): unbind it, or bind it to \(target)"
    }
}
