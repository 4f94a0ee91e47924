// A group: devices that the platform cannot isolate from each other. Which they are is decided here; what state they
// are in, and who holds them, is the registry's.

import Inventory
import PCI

/// A set of devices that go to a virtual machine together or not at all.
public struct Group: Equatable, Sendable {
    /// Its identity.
    public var id: GroupID
    /// The backend that decided.
    public var backend: BackendName
    /// The host bridges that its PCI members sit below, ascending.
    public var hostBridges: [HostBridgeID]
    /// The kernel's groups that its members are in, ascending.
    public var kernelGroups: [Int]
    /// Its devices in the order of their topology paths, bridges before what sits behind them, PCI before other buses.
    public var members: [DeviceAddress]
    /// Whether an IOMMU isolates it.
    public var isolation: Isolation
    /// Whether it could be claimed on this platform, whoever holds it now.
    public var claimability: Claimability

    public init(
        id: GroupID, backend: BackendName, hostBridges: [HostBridgeID], kernelGroups: [Int], members: [DeviceAddress],
        isolation: Isolation, claimability: Claimability
    ) {
        self.id = id
        self.backend = backend
        self.hostBridges = hostBridges
        self.kernelGroups = kernelGroups
        self.members = members
        self.isolation = isolation
        self.claimability = claimability
    }
}

/// Where a backend and the kernel do not say the same. The group is the finest set that is coarser than both.
public struct Disagreement: Equatable, Sendable {
    /// The group that came of it.
    public var group: GroupID
    /// The backend that decided.
    public var backend: BackendName
    /// The kernel's groups in it.
    public var kernelGroups: [Int]
    /// What each says, in words.
    public var explanation: String

    public init(group: GroupID, backend: BackendName, kernelGroups: [Int], explanation: String) {
        self.group = group
        self.backend = backend
        self.kernelGroups = kernelGroups
        self.explanation = explanation
    }
}

/// A device that is in no group.
public struct UngroupedDevice: Equatable, Sendable {
    /// The device.
    public var device: DeviceAddress
    /// Why, in words.
    public var reason: String

    public init(device: DeviceAddress, reason: String) {
        self.device = device
        self.reason = reason
    }
}
