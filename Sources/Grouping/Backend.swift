// What decides the groups of a host bridge. A backend says which devices belong together as far as it knows; the
// combination (Combination.swift) sees to it that the result is never finer than what the kernel isolates.

import Host
import PCI

/// The name of a backend, as configuration and API spell it.
public enum BackendName: String, Sendable, CaseIterable {
    /// The generic default: everything below a host bridge, bridges included, is one group.
    case hostBridge = "host_bridge"
    /// /sys/kernel/iommu_groups as it stands.
    case kernel
}

/// What a backend puts together: a cell is a set of devices that it cannot isolate from each other.
public struct Cell: Equatable, Sendable {
    /// The devices.
    public var devices: [DeviceAddress]
    /// Set where the cell is all of a host bridge: its group is named after the host bridge then.
    public var wholeHostBridge: HostBridgeID?

    public init(_ devices: [DeviceAddress], wholeHostBridge: HostBridgeID? = nil) {
        self.devices = devices
        self.wholeHostBridge = wholeHostBridge
    }
}

/// Decides which devices below a host bridge belong together.
public protocol Backend: Sendable {
    /// Its name.
    static var name: BackendName { get }

    /// The cells of the devices given, which are those below one host bridge, or those of one other bus. A device in no
    /// cell is in no group as far as this backend knows.
    func cells(of devices: [Device], below hostBridge: HostBridgeID?, in inventory: Inventory) -> [Cell]

    /// Why a device that is in no cell is in none, for a person.
    func reason(forLeavingOut device: Device, in inventory: Inventory) -> String
}
