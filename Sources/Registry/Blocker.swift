// Completeness: a group can be used when no member is in the hands of a host driver. Where it cannot, each member that
// stands in the way is named, with what would move it.

import Host
import PCI

/// A member that keeps its group from being complete.
public struct Blocker: Equatable, Sendable {
    /// The member.
    public var device: DeviceAddress
    /// What the member is, where that is known.
    public var classCode: ClassCode?
    /// The driver that has it.
    public var driver: String
    /// Why that is in the way, in words.
    public var reason: String
    /// What would move it, in words.
    public var remedy: String
}

extension Blocker {
    /// The blocker that this member is; nil when it stands in nobody's way.
    init?(_ device: Device, state: MemberState) {
        guard state == .host, let driver = device.driver else { return nil }
        self.device = device.address
        classCode = device.pci?.identification.classCode
        self.driver = driver
        if device.isBridge {
            reason =
                "the bridge is bound to \(driver), which may do DMA of its own, so the kernel counts the group as "
                + "in use by the host"
            remedy =
                "unbind it from \(driver), or bind it to pci-stub; a bridge cannot be bound to vfio-pci and does "
                + "not need to be"
        } else if device.pci != nil {
            reason = "the host driver \(driver) has it and may do DMA"
            remedy = "take it from \(driver): unbind it, or bind it to vfio-pci"
        } else {
            reason = "the host driver \(driver) has it and may do DMA"
            remedy = "take it from \(driver): unbind it, or bind it to the vfio driver of the bus \(device.address.bus)"
        }
    }
}
