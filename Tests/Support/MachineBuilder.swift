// Inventories made of a few words a device.

import Inventory
import PCI

/// A PCI function; its host bridge is bus 0 of its domain.
public func pciDevice(
    _ address: String, parent: String? = nil, group: Int? = nil, classCode: UInt32 = 0x020000, isBridge: Bool = false,
    driver: String? = nil, virtual: (physical: String, number: Int)? = nil, id: UInt16 = 0x10d3
) -> Device {
    guard let address = PCIAddress(address) else { preconditionFailure("\(address) is no address") }
    let layout: Header.Layout = isBridge ? .bridge(primary: 0, secondary: 1, subordinate: 1) : .endpoint
    let capabilities = FunctionCapabilities(
        header: .present(Header(layout: layout, isMultifunction: false)), express: .absent, acs: .absent, ari: .absent,
        sriov: .absent)
    return Device(
        address: .pci(address),
        kind: .pci(
            PCIFunction(
                hostBridge: HostBridgeID(domain: address.domain, bus: 0), parent: parent.flatMap { PCIAddress($0) },
                identification: .init(
                    vendorID: 0x8086, deviceID: id,
                    classCode: ClassCode(rawValue: isBridge ? 0x060400 : classCode)),
                capabilities: capabilities,
                virtualFunction: virtual.flatMap { virtual in
                    PCIAddress(virtual.physical).map { .init(physicalFunction: $0, index: virtual.number) }
                },
                isBridge: isBridge)),
        driver: driver, kernelGroup: group)
}

/// A machine of these devices, with the host bridges and kernel groups that they name.
public func machine(_ devices: Device..., kernel: String? = nil) -> Inventory { machine(devices, kernel: kernel) }

/// A machine of these devices, with the host bridges and kernel groups that they name.
public func machine(
    _ devices: [Device], kernel: String? = nil, behind parents: [HostBridgeID: PCIAddress] = [:]
) -> Inventory {
    Inventory(
        kernel: kernel.flatMap { KernelRelease($0) },
        hostBridges: Set(devices.compactMap { $0.pci?.hostBridge }).map { HostBridge(id: $0, parent: parents[$0]) },
        devices: devices,
        kernelGroups: Set(devices.compactMap(\.kernelGroup)).map { KernelGroup(number: $0) })
}

extension Inventory {
    /// The machine as a reader sees it who could read no configuration space.
    public var unreadable: Inventory {
        Inventory(
            kernel: kernel, commandLine: commandLine, hostBridges: hostBridges, devices: devices.map(\.unreadable),
            kernelGroups: kernelGroups)
    }
}

extension Device {
    /// The device as a reader sees it who could read nothing of its capabilities.
    public var unreadable: Device {
        var device = self
        guard var function = device.pci else { return device }
        function.capabilities = FunctionCapabilities(unknown: .headerOnly)
        device.kind = .pci(function)
        return device
    }
}

/// Random numbers that are the same in every run (SplitMix64).
public struct Generator: RandomNumberGenerator {
    var state: UInt64

    public init(state: UInt64) { self.state = state }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
