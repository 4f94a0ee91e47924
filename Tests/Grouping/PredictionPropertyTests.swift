// What must hold for a prediction on any machine: what cannot be read never makes a group smaller, and the walk finds
// what the kernel's own procedure, written down plainly, finds.

import Inventory
import PCI
import Testing
import TestSupport

@testable import Grouping

@Suite("A prediction on any machine", .timeLimit(.minutes(15)))
struct PredictionPropertyTests {
    /// A random tree of ports, bridges, switches and cards, with and without ACS, some of them known by name.
    private func randomDevices(_ generator: inout Generator) -> [Device] {
        var devices: [Device] = []
        var nextBus: UInt8 = 1
        func services(_ generator: inout Generator) -> Services? {
            [nil, isolating, isolating, (0x1d, 0x1c), (0x13, 0x11), (0, 0)].randomElement(using: &generator) ?? nil
        }
        func fill(_ bus: UInt8, below parent: String?, depth: Int, _ generator: inout Generator) {
            for slot in 0..<Int.random(in: 1...3, using: &generator) where devices.count < 40 {
                let count = Int.random(in: 1...3, using: &generator)
                for number in 0..<count {
                    let address = "0000:\(hexadecimal(bus, width: 2)):\(hexadecimal(UInt8(slot), width: 2)).\(number)"
                    let kinds: [PCIExpress.Kind?] =
                        depth < 3 && nextBus < 30
                        ? [
                            .rootPort, .upstreamPort, .downstreamPort, .pcieToPCIBridge, .pciToPCIeBridge, nil,
                            .endpoint,
                        ]
                        : [.endpoint, .legacyEndpoint, .rootComplexEndpoint, .rootComplexEventCollector, nil]
                    let kind = kinds.randomElement(using: &generator) ?? nil
                    let isBridge = depth < 3 && kind != .endpoint && nextBus < 30
                    let ids: [UInt32] = [
                        0x1af4_1000, 0x1af4_1000, 0x1af4_1000, 0x1180_e832, 0x1b4b_9123, 0x10b5_87b0, 0x8086_1521,
                        0x14e4_9000, 0x1b21_1080, 0x1d17_0722, 0x11f8_8531,
                    ]
                    devices.append(
                        function(
                            address, kind, below: parent, acs: services(&generator), multifunction: count > 1,
                            id: ids.randomElement(using: &generator) ?? 0x1af4_1000, classCode: 0x068000,
                            bridge: isBridge,
                            group: Int.random(in: 0...9, using: &generator) == 0 ? nil : devices.count,
                            ariForwarding: Bool.random(using: &generator)))
                    guard isBridge else { continue }
                    let below = nextBus
                    nextBus += 1
                    fill(below, below: address, depth: depth + 1, &generator)
                }
            }
        }
        fill(0, below: nil, depth: 0, &generator)
        return devices
    }

    @Test("what cannot be read never makes a group smaller", arguments: 0..<150)
    func unreadable(seed: Int) {
        var generator = Generator(state: UInt64(seed) &+ 7)
        let devices = randomDevices(&generator)
        let whole = Prediction(machine(devices))
        let poorer = Prediction(
            machine(devices.map { Bool.random(using: &generator) ? $0 : $0.unreadable }))
        for group in whole.groups {
            let others = group.first.flatMap { poorer.group(of: $0) } ?? []
            #expect(Set(others).isSuperset(of: group))
        }
        #expect(Set(whole.groups.joined()) == Set(devices.filter { $0.kernelGroup != nil }.map(\.address)))
    }

    @Test(
        "certain edges alone are the kernel's partition, as its procedure written down plainly gives it",
        arguments: 0..<150)
    func plainProcedure(seed: Int) {
        var generator = Generator(state: UInt64(seed) &+ 99)
        // One model's IDs cannot be known from sysfs: without it, everything here is certain.
        let devices = randomDevices(&generator).filter { $0.pci?.identification.vendorID != 0x11f8 }
        let inventory = machine(devices)
        let prediction = Prediction(inventory)
        #expect(prediction.edges.allSatisfy { $0.isCertain })
        var procedure = PlainProcedure(prediction)
        #expect(Set(procedure.groups().map(Set.init)) == Set(prediction.groups.map(Set.init)))
        #expect(prediction.edges.count == prediction.groups.map { $0.count - 1 }.reduce(0, +))
    }
}

/// pci_device_group and what it calls (drivers/iommu/iommu.c), line by line; only the verdicts are taken from elsewhere.
private struct PlainProcedure {
    private let topology: RequesterTopology
    private var group: [Int: Int] = [:]
    private var devfns = Set<UInt8>()

    init(_ prediction: Prediction) { topology = prediction.topology }

    mutating func groups() -> [[DeviceAddress]] {
        var next = 0
        for position in topology.functions.indices where topology.functions[position].isPlaced {
            devfns = []
            if let found = deviceGroup(position) {
                group[position] = found
            } else {
                group[position] = next
                next += 1
            }
        }
        return Dictionary(grouping: group.keys, by: { group[$0] }).values.map { positions in
            positions.map { .pci(topology.functions[$0].address) }
        }
    }

    private func isIsolating(_ position: Int) -> Bool { topology.functions[position].finding.verdict.isIsolating }
    private func bridge(_ position: Int) -> Int? { topology.functions[position].ancestors.first }

    private mutating func deviceGroup(_ device: Int) -> Int? {
        var point = device
        var above = bridge(device)
        while let bridge = above {
            if case .translationRoot = topology.functions[bridge].effect { break }
            if case .alias = topology.functions[bridge].effect {
                point = bridge
                if let found = group[bridge] { return found }
            }
            above = self.bridge(bridge)
        }
        above = bridge(point)
        while let bridge = above {
            if ([bridge] + topology.functions[bridge].ancestors).allSatisfy(isIsolating) { break }
            point = bridge
            if let found = group[bridge] { return found }
            above = self.bridge(bridge)
        }
        return aliasGroup(point) ?? functionAliasGroup(point)
    }

    private mutating func aliasGroup(_ device: Int) -> Int? {
        guard devfns.insert(topology.functions[device].address.devfn).inserted else { return nil }
        if let found = group[device] { return found }
        for other in topology.neighbours(of: device) where topology.areAliases(device, other) == true {
            if let found = aliasGroup(other) ?? functionAliasGroup(other) { return found }
        }
        return nil
    }

    private mutating func functionAliasGroup(_ device: Int) -> Int? {
        guard topology.functions[device].multifunction.value == true, !isIsolating(device) else { return nil }
        for other in topology.siblings(of: device) where !isIsolating(other) {
            if let found = aliasGroup(other) { return found }
        }
        return nil
    }
}
