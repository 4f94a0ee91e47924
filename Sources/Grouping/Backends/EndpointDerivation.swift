// Deriving PEs where the platform does not show them: what is common to all host bridges that have them. The rules
// themselves are in IODADerivation.swift and P7IOCDerivation.swift.

import Inventory
import PCI

/// PEs as they are derived from device tree and topology.
struct EndpointDerivation: Equatable {
    /// The devices that the kernel would put in one group.
    var cells: [Cell] = []
    /// The PE numbers, as far as they can be derived.
    var endpoints: [DeviceAddress: Int] = [:]
    /// The rule by which each device is in its PE.
    var rules: [DeviceAddress: EndpointRule] = [:]

    /// The PEs below a host bridge; nil where the platform says nothing that they could be derived from.
    static func of(_ devices: [Device], below hostBridge: HostBridge) -> EndpointDerivation? {
        switch hostBridge.partitioning {
        case .ioda(let numbers):
            var rules = IODADerivation(numbers, FunctionTree(devices, rootBus: hostBridge.id.bus))
            return rules.derive()
        case .p7ioc:
            var rules = P7IOCDerivation(FunctionTree(devices, rootBus: hostBridge.id.bus))
            return rules.derive()
        case .logical: return logical(devices)
        case nil: return nil
        }
    }

    /// In a logical partition the firmware decides: a group is what lies below one node that owns a DMA window
    /// (pci_dma_bus_setup_pSeriesLP, platforms/pseries/iommu.c). There are no PE numbers to be seen.
    private static func logical(_ devices: [Device]) -> EndpointDerivation {
        var derivation = EndpointDerivation()
        derivation.cells = Dictionary(grouping: devices.filter { $0.pci?.windowNode != nil }, by: \.pci?.windowNode)
            .values.map { Cell($0.map(\.address)) }
        for device in devices {
            derivation.rules[device.address] = device.pci?.windowNode.map { .window(node: $0) }
        }
        return derivation
    }
}

/// The functions below a host bridge by bus, as the kernel walks them: virtual functions apart, since they are made
/// later.
struct FunctionTree {
    /// The functions of a bus in the order of device and function numbers.
    private let buses: [UInt8: [Device]]
    /// The number of the root bus.
    let rootBus: UInt8
    /// The virtual functions by their physical function, in the order of their numbers.
    let virtualFunctions: [(physical: PCIAddress, functions: [Device])]

    init(_ devices: [Device], rootBus: UInt8) {
        self.rootBus = rootBus
        let physical = devices.filter { $0.pci.map { $0.virtualFunction == nil } ?? false }
        buses = Dictionary(grouping: physical) { $0.address.pci?.bus ?? 0 }
            .mapValues { $0.sorted { $0.address < $1.address } }
        let virtual = devices.filter { $0.pci?.virtualFunction != nil }
        virtualFunctions = Dictionary(grouping: virtual) { $0.pci?.virtualFunction?.physicalFunction }
            .compactMap { origin, functions in
                origin.map {
                    (
                        $0,
                        functions.sorted {
                            ($0.pci?.virtualFunction?.index ?? 0) < ($1.pci?.virtualFunction?.index ?? 0)
                        }
                    )
                }
            }
            .sorted { $0.0 < $1.0 }
    }

    /// The functions of a bus.
    func functions(of bus: UInt8) -> [Device] { buses[bus, default: []] }

    /// The bus numbers directly below and the highest below a bridge. Where its configuration space was not readable
    /// they follow from what sits behind it.
    func busesBelow(_ bridge: Device) -> ClosedRange<UInt8>? {
        guard bridge.isBridge, let address = bridge.address.pci else { return nil }
        if let (secondary, subordinate) = bridge.pci?.capabilities.header.value?.busesBelow,
            secondary > address.bus, subordinate >= secondary
        {
            return secondary...subordinate
        }
        let below = buses.filter { $0.value.contains { $0.pci?.parent == address } }.keys
        guard let secondary = below.min(), secondary > address.bus else { return nil }
        var last = secondary
        for bridge in buses[secondary, default: []] {
            if let deeper = busesBelow(bridge) { last = max(last, deeper.upperBound) }
        }
        return secondary...last
    }
}

extension Device {
    /// A PCI Express function of type 7: what is behind it uses its requester ID, so that one PE covers all of it.
    var isPCIeToPCIBridge: Bool { pci?.capabilities.express.value?.kind == .pcieToPCIBridge }
}
