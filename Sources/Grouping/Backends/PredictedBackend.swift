// The prediction as a backend: what the groups would be, for people who have not switched their IOMMU on yet. It is
// chosen by an administrator alone, and what it makes is never claimed.

import Inventory
import PCI

/// One group for each that the rules give.
public struct PredictedBackend: Backend {
    public static let name = BackendName.predicted

    private let prediction: Prediction

    /// The backend for one host.
    public init(for inventory: Inventory) { prediction = Prediction(inventory) }

    public func partition(
        of devices: [Device], below hostBridge: HostBridge?, in inventory: Inventory
    ) -> Partition {
        // A group that spans host bridges is told below each of them.
        var cells: [Cell] = []
        var told = Set<DeviceAddress>()
        for device in devices where !told.contains(device.address) {
            guard let group = prediction.group(of: device.address) else { continue }
            cells.append(Cell(group))
            told.formUnion(group)
        }
        return Partition(cells: cells)
    }

    public func reason(forLeavingOut device: Device, in inventory: Inventory) -> String {
        if device.pci?.identification.classCode?.isIOMMU == true {
            return "it is the IOMMU itself, which the kernel puts in no IOMMU group"
        }
        if let bridge = device.pci?.hostBridge, inventory.partitionedHostBridges.contains(bridge) {
            return PartitionableEndpointBackend().reason(forLeavingOut: device, in: inventory)
        }
        return KernelBackend().reason(forLeavingOut: device, in: inventory)
    }
}
