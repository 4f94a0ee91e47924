// The generic default: nothing is known about isolation below a host bridge, so all of it is one group.

import Inventory
import PCI

/// One group for all that sits below a host bridge, bridges included.
public struct HostBridgeBackend: Backend {
    public static let name = BackendName.hostBridge

    public init() {}

    public func partition(
        of devices: [Device], below hostBridge: HostBridge?, in inventory: Inventory
    ) -> Partition {
        Partition(cells: devices.isEmpty ? [] : [Cell(devices.map(\.address), wholeHostBridge: hostBridge?.id)])
    }

    public func reason(forLeavingOut device: Device, in inventory: Inventory) -> String {
        "it sits below no host bridge"
    }
}
