// POWER: the groups are partitionable endpoints (PEs). Where the kernel has made groups of them, those are the groups;
// where it has not, they are derived from device tree and topology, by the rules that the kernel follows. The rules are
// also held against what the kernel says, and where they differ, that is told.

import Inventory
import PCI

/// One group for each PE that has a device.
public struct PartitionableEndpointBackend: Backend {
    public static let name = BackendName.partitionableEndpoint

    public init() {}

    /// Whether the platform says anything about PEs below a host bridge: in its node of the device tree, in attributes
    /// of its devices, or in the names of their kernel groups.
    static func applies(to hostBridge: HostBridge, _ devices: [Device], in inventory: Inventory) -> Bool {
        hostBridge.partitioning != nil
            || devices.contains { inventory.statedEndpoint(of: $0) != nil }
    }

    public func partition(
        of devices: [Device], below hostBridge: HostBridge?, in inventory: Inventory
    ) -> Partition {
        let derived = hostBridge.flatMap { EndpointDerivation.of(devices, below: $0) }
        var partition = Partition()
        let grouped = devices.contains(where: inventory.isTranslated)
        if grouped {
            partition.cells = KernelBackend.cells(of: devices)
        } else if let derived {
            partition.cells = derived.cells
        } else if !devices.isEmpty {
            // Nothing says how PEs are made here, so nothing finer than the host bridge is known.
            partition.cells = [Cell(devices.map(\.address), wholeHostBridge: hostBridge?.id)]
        }
        for device in devices {
            let stated = inventory.statedEndpoint(of: device)
            let number = derived?.endpoints[device.address]
            partition.endpoints[device.address] = stated ?? number
            if let stated, let number, stated != number {
                partition.warnings.append(
                    InventoryWarning(
                        device: device.address,
                        message: "the platform puts it in PE 0x\(hexadecimal(UInt(stated))), and the rules derive PE "
                            + "0x\(hexadecimal(UInt(number))); what the platform says is taken"))
            }
        }
        if grouped, let derived { partition.warnings += Self.differences(partition.cells, derived.cells) }
        return partition
    }

    public func reason(forLeavingOut device: Device, in inventory: Inventory) -> String {
        if device.isBridge {
            return
                "the kernel makes a group when it meets the first device of a PE that is no bridge; this bridge comes "
                + "before, or its PE has bridges alone"
        }
        return "the kernel made no group of its PE: it could not set up the PE's DMA"
    }

    /// Where the derived cells are not the kernel's.
    private static func differences(_ kernel: [Cell], _ derived: [Cell]) -> [InventoryWarning] {
        let known = Set(kernel.map { Set($0.devices) })
        return derived.filter { !known.contains(Set($0.devices)) }.map { cell in
            InventoryWarning(
                device: cell.devices.first,
                message: "the rules derive a group of \(cell.devices.map(\.description).joined(separator: ", ")), "
                    + "which the kernel does not have; the kernel's groups are taken")
        }
    }
}

extension Inventory {
    /// The number of a device's PE as the platform states it: in an attribute, or in the name of its kernel group.
    func statedEndpoint(of device: Device) -> Int? {
        device.pci?.partitionableEndpoint ?? device.kernelGroup.flatMap { kernelGroup($0)?.partitionableEndpoint }
    }
}
