// What decides the groups of a host bridge. A backend says which devices belong together as far as it knows; the
// combination (Combination.swift) sees to it that the result is never finer than what the kernel isolates.

import Inventory
import PCI

/// The name of a backend, as configuration and API spell it.
public enum BackendName: String, Sendable, CaseIterable {
    /// The generic default: everything below a host bridge, bridges included, is one group.
    case hostBridge = "host_bridge"
    /// POWER's partitionable endpoints (PEs).
    case partitionableEndpoint = "partitionable_endpoint"
    /// /sys/kernel/iommu_groups as it stands.
    case kernel
    /// What the kernel's groups should be by its own rules; never chosen by itself, and never to be claimed.
    case predicted
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

/// What a backend says about the devices below a host bridge.
public struct Partition: Equatable, Sendable {
    /// The sets that it cannot take apart. A device in no cell is in no group as far as the backend knows.
    public var cells: [Cell]
    /// The PE numbers of devices, those in no cell too.
    public var endpoints: [DeviceAddress: Int]
    /// Where what the backend derives is not what the platform says.
    public var warnings: [InventoryWarning]

    public init(
        cells: [Cell] = [], endpoints: [DeviceAddress: Int] = [:], warnings: [InventoryWarning] = []
    ) {
        self.cells = cells
        self.endpoints = endpoints
        self.warnings = warnings
    }
}

/// Decides which devices below a host bridge belong together.
public protocol Backend: Sendable {
    /// Its name.
    static var name: BackendName { get }

    /// The partition of the devices given, which are those below one host bridge, or those of all other buses.
    func partition(of devices: [Device], below hostBridge: HostBridge?, in inventory: Inventory) -> Partition

    /// Why a device that is in no cell is in none, for a person.
    func reason(forLeavingOut device: Device, in inventory: Inventory) -> String
}
