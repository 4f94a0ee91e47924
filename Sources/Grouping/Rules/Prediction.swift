// What the kernel's groups should be by its own rules, recomputed from what configuration space and device tree say
// (pci_device_group, drivers/iommu/iommu.c; on POWER the rules for PEs). The kernel's groups stay the truth; this is what
// explains them, and what stands in for them before an IOMMU is switched on.

import Inventory
import PCI

/// The groups that the rules give, with a reason for everything that is together.
public struct Prediction: Sendable {
    /// Why devices are together. Every device has at most one certain edge to one that was placed before it; where
    /// something could not be read it may have several that are not certain.
    public private(set) var edges: [Edge] = []
    /// The groups, each ascending, in the order of their first devices. What is unknown counts as together: a
    /// prediction is never finer than the groups of any kernel that follows the rules.
    public private(set) var groups: [[DeviceAddress]] = []
    /// Whether the host has no groups of PCI devices, and the prediction is what they would be with the IOMMU on.
    public let assumesIOMMU: Bool

    let topology: RequesterTopology
    private var groupOf: [DeviceAddress: Int] = [:]

    /// Predicts the groups of a host's PCI devices. Nothing is predicted for other buses: what keeps their devices
    /// together stands in firmware tables that sysfs does not show.
    public init(_ inventory: Inventory) {
        let assumesIOMMU = !inventory.hasPCIKernelGroups
        self.assumesIOMMU = assumesIOMMU
        let partitioned = inventory.partitionedHostBridges
        func isPlaced(_ device: Device) -> Bool {
            guard let function = device.pci else { return false }
            if assumesIOMMU { return function.identification.classCode?.isIOMMU != true }
            return inventory.isTranslated(device)
        }
        var others: [Device] = []
        var below: [HostBridgeID: [Device]] = [:]
        for device in inventory.devices {
            guard let function = device.pci else { continue }
            if partitioned.contains(function.hostBridge) {
                below[function.hostBridge, default: []].append(device)
            } else {
                others.append(device)
            }
        }
        topology = RequesterTopology(others, in: inventory, assumesIOMMU: assumesIOMMU, isPlaced: isPlaced)
        var walk = PlacementWalk(topology)
        edges = walk.run()
        var members = topology.functions.filter(\.isPlaced).map { DeviceAddress.pci($0.address) }
        for (id, devices) in below.sorted(by: { $0.key < $1.key }) {
            let bridge = inventory.hostBridges.first { $0.id == id } ?? HostBridge(id: id)
            for (edges, cell) in Self.partition(devices, below: bridge, isPlaced: isPlaced) {
                self.edges += edges
                members += cell
            }
            edges += Self.possibleEdges(among: devices.filter(isPlaced), in: inventory)
        }
        unite(members.sorted())
    }

    /// The group that a device is predicted to be in; nil where it gets none.
    public func group(of device: DeviceAddress) -> [DeviceAddress]? { groupOf[device].map { groups[$0] } }

    /// The finding on a PCI function; nil where other rules decide.
    public func finding(on function: PCIAddress) -> AccessControlFinding? {
        topology.positions[function].map { topology.functions[$0].finding }
    }

    /// The PEs below a host bridge. Where the platform says nothing of how it makes them, the host bridge is one.
    private static func partition(
        _ devices: [Device], below bridge: HostBridge, isPlaced: (Device) -> Bool
    ) -> [(edges: [Edge], cell: [DeviceAddress])] {
        guard let derived = EndpointDerivation.of(devices, below: bridge) else {
            let cell = devices.filter(isPlaced).map(\.address)
            return [(star(cell, isCertain: false) { _ in .hostBridge(bridge.id) }, cell)]
        }
        return derived.cells.map { cell in
            let edges = star(cell.devices) { device in
                derived.rules[device].map { .partitionableEndpoint($0, number: derived.endpoints[device]) }
                    ?? .hostBridge(bridge.id)
            }
            return (edges, cell.devices)
        }
    }

    /// What would be together if the bridges whose kind could not be read were PCIe-to-PCI bridges.
    private static func possibleEdges(among devices: [Device], in inventory: Inventory) -> [Edge] {
        var first: [PCIAddress: Device] = [:]
        var edges: [Edge] = []
        for device in devices where device.pci?.windowNode == nil {
            var next = device.pci?.parent
            // A domain has 256 buses; a snapshot made by hand may have bridges that form a ring.
            for _ in 0..<256 {
                guard let bridge = next, let function = inventory[bridge]?.pci else { break }
                next = function.parent
                guard function.capabilities.express.isUnknown else { continue }
                guard let other = first[bridge], let bus = other.address.pci?.bus, let own = device.address.pci?.bus
                else {
                    first[bridge] = device
                    continue
                }
                let rule = EndpointRule.allBuses(min(bus, own)...max(bus, own), behind: .pci(bridge), segments: [])
                edges.append(
                    Edge(
                        device: device.address, other: other.address,
                        reason: .partitionableEndpoint(rule, number: nil), isCertain: false))
            }
        }
        return edges
    }

    /// Edges from all devices of a set to its first.
    static func star(
        _ devices: [DeviceAddress], isCertain: Bool = true, _ reason: (DeviceAddress) -> Edge.Reason
    ) -> [Edge] {
        guard let first = devices.first else { return [] }
        return devices.dropFirst().map {
            Edge(device: $0, other: first, reason: reason($0), isCertain: isCertain)
        }
    }

    private mutating func unite(_ members: [DeviceAddress]) {
        let index = Dictionary(zip(members, members.indices), uniquingKeysWith: { first, _ in first })
        var sets = DisjointSets(count: members.count)
        for edge in edges { sets.unite([edge.device, edge.other].compactMap { index[$0] }) }
        var numbers: [Int: Int] = [:]
        for (position, member) in members.enumerated() where index[member] == position {
            let representative = sets.representative(of: position)
            if let number = numbers[representative] {
                groups[number].append(member)
                groupOf[member] = number
            } else {
                numbers[representative] = groups.count
                groupOf[member] = groups.count
                groups.append([member])
            }
        }
    }
}

extension Inventory {
    /// The host bridges whose groups are PEs: there ACS plays no role.
    var partitionedHostBridges: Set<HostBridgeID> {
        var found = Set(hostBridges.filter { $0.partitioning != nil }.map(\.id))
        // A capture may lack the device tree: IBM's root ports are in no other machines.
        let isPower =
            !found.isEmpty
            || devices.contains { device in
                device.pci?.identification.vendorID == 0x1014
                    && device.pci?.capabilities.express.value?.kind == .rootPort
            }
        for device in devices {
            guard let function = device.pci else { continue }
            if isPower || statedEndpoint(of: device) != nil { found.insert(function.hostBridge) }
        }
        return found
    }
}
