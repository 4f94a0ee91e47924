// What is said of groups: where rules and kernel differ, what would help, and what is promised to nobody.

import Inventory
import PCI
import Testing
import TestSupport

@testable import Grouping

@Suite("Explanations", .timeLimit(.minutes(15)))
struct ExplanationTests {
    private let port = function("0000:00:01.0", .rootPort, acs: isolating, group: 1)
    private let bare = function("0000:00:02.0", .rootPort, group: 2)
    private let card = function("0000:01:00.0", .endpoint, below: "0000:00:01.0", group: 3)

    private func explain(_ inventory: Inventory, _ device: String, policy: BackendPolicy = .auto) throws -> Explanation
    {
        let address = try #require(DeviceAddress(bus: "pci", name: device))
        let group = try #require(
            Grouping(inventory, policy: policy).groups.first { $0.members.contains(address) })
        return Explainer(inventory).explain(group)
    }

    @Test("a device that is alone has the ports that keep it so") func alone() throws {
        let explanation = try explain(machine(port, card), "0000:01:00.0")
        #expect(explanation.edges.isEmpty)
        #expect(explanation.findings.map(\.function.description) == ["0000:00:01.0"])
        #expect(explanation.agreement == .confirmed)
        #expect(explanation.summary.contains("is alone"))
        #expect(explanation.splitting.isEmpty && explanation.futile.isEmpty && explanation.remarks.isEmpty)
    }

    @Test("what the kernel groups and no rule does is said to have no known reason") func kernelOnly() throws {
        let odd = function("0000:00:05.0", .endpoint, group: 1)
        let explanation = try explain(machine(port, card, odd), "0000:00:05.0")
        #expect(explanation.agreement == .kernelCoarser)
        #expect(explanation.edges.map(\.reason) == [.kernel(1)])
        #expect(explanation.edges.first?.sentence.contains("the reason cannot be derived") == true)
        #expect(explanation.splitting.isEmpty)
    }

    @Test("what the rules hold together and the kernel does not is said, and the override is named with its loss")
    func override() throws {
        let inside = function("0000:02:00.0", .endpoint, below: "0000:00:02.0", group: 4)
        var inventory = machine(bare, inside)
        #expect(try explain(inventory, "0000:02:00.0").agreement == .kernelFiner)
        inventory = inventory.booted(with: "root=UUID=x pcie_acs_override=downstream,multifunction")
        let explanation = try explain(inventory, "0000:02:00.0")
        #expect(explanation.remarks.contains { $0.contains("pcie_acs_override=downstream,multifunction") })
        #expect(explanation.remarks.contains { $0.contains("may reach") })
    }

    @Test("no advice names the override without the loss") func loss() throws {
        let inside = function("0000:02:00.0", .endpoint, below: "0000:00:02.0", group: 2)
        let explanation = try explain(machine(port, card, bare, inside), "0000:02:00.0")
        #expect(explanation.splitting.contains { $0.contains("0000:00:01.0") })
        #expect(!explanation.splitting.contains { $0.contains("override") })
        for sentence in explanation.futile where sentence.contains("pcie_acs_override") {
            #expect(sentence.contains("read and write the memory"))
        }
        #expect(explanation.futile.contains { $0.contains("pcie_acs_override") })
    }

    @Test("a port whose services are off is to be switched on, one that has none is not") func firmware() throws {
        func splitting(_ acs: Services?) throws -> [String] {
            try explain(
                machine(
                    function("0000:00:02.0", .rootPort, acs: acs, group: 2),
                    function("0000:02:00.0", .endpoint, below: "0000:00:02.0", group: 2)), "0000:02:00.0"
            ).splitting
        }
        #expect(try splitting((0x1d, 0x01)).contains { $0.hasPrefix("switching on RR CR UF of 0000:00:02.0") })
        #expect(try splitting(nil).isEmpty)
    }

    @Test("virtual functions are offered where they would be apart") func virtualFunctions() throws {
        func splitting(_ port: Device) throws -> [String] {
            var first = function("0000:01:00.0", .endpoint, below: "0000:00:01.0", multifunction: true, group: 3)
            if var pci = first.pci {
                pci.capabilities.sriov = .present(
                    SingleRootIOV(
                        isEnabled: false, ariCapableHierarchy: false, totalVFs: 8, numberOfVFs: 0, firstVFOffset: 0,
                        vfStride: 0, vfDeviceID: 0))
                first.kind = .pci(pci)
            }
            return try explain(
                machine(port, first, function("0000:01:00.1", .endpoint, below: "0000:00:01.0", group: 3)),
                "0000:01:00.0"
            ).splitting
        }
        #expect(try splitting(port).contains { $0.contains("SR-IOV, 8 at most") })
        #expect(try !splitting(function("0000:00:01.0", .rootPort, group: 3)).contains { $0.contains("SR-IOV") })
    }

    @Test("two devices of one group have the way between them, two of others what keeps them apart") func pairs() throws
    {
        let first = function("0000:02:00.0", .endpoint, below: "0000:00:02.0", multifunction: true, group: 2)
        let second = function("0000:02:00.1", .endpoint, below: "0000:00:02.0", group: 2)
        let inventory = machine(port, card, bare, first, second)
        let grouping = Grouping(inventory, policy: .auto)
        let explainer = Explainer(inventory)
        func group(_ device: Device) throws -> Group {
            try #require(grouping.groups.first { $0.members.contains(device.address) })
        }
        let together = explainer.explain(first.address, second.address, in: try group(first))
        #expect(together.isTogether)
        #expect(together.edges.map(\.other) == [bare.address, bare.address])
        let apart = explainer.explain(
            card.address, in: try group(card), apartFrom: second.address, in: try group(second), reasons: [])
        #expect(!apart.isTogether)
        #expect(apart.groups.count == 2)
        #expect(apart.findings.contains { $0.function.description == "0000:00:01.0" && $0.verdict.isIsolating })
        #expect(apart.findings.allSatisfy { $0.verdict.isIsolating })
        #expect(apart.remarks.first?.contains("at the root bus alone") == true)
        #expect(apart.agreement == .confirmed)
        #expect(explainer.explain(card.address, card.address, in: try group(card)).edges.isEmpty)
    }

    @Test("below a host bridge that is one group, that is the reason, and what would change it") func hostBridge()
        throws
    {
        let forced = try explain(machine(port, card), "0000:01:00.0", policy: .forced(.hostBridge))
        #expect(forced.edges.map(\.reason) == [.hostBridge(HostBridgeID(domain: 0, bus: 0))])
        #expect(forced.splitting.contains { $0.contains("Backend=auto") })
        var devices = [port, card]
        for number in devices.indices { devices[number].kernelGroup = nil }
        let without = try explain(machine(devices), "0000:01:00.0")
        #expect(without.agreement == .unconfirmed)
        #expect(without.splitting.contains { $0.contains("switch the IOMMU on") })
    }

    @Test("devices of other buses have the kernel's word alone") func otherBuses() throws {
        let inventory = Inventory(
            devices: ["a", "b"].map {
                Device(address: .other(bus: "platform", name: $0), kind: .other, kernelGroup: 0)
            }, kernelGroups: [KernelGroup(number: 0)])
        let group = try #require(Grouping(inventory, policy: .auto).groups.first)
        let explanation = Explainer(inventory).explain(group)
        #expect(explanation.agreement == .notPredicted)
        #expect(explanation.edges.map(\.reason) == [.kernel(0)])
    }

    @Test("a PE whose rule is not known has the platform's word") func statedEndpoint() throws {
        let devices =
            (0..<2).map { pciDevice("0003:01:00.\($0)", group: 0) } + [pciDevice("0003:02:00.0", group: 1)]
        let inventory = Inventory(
            hostBridges: [HostBridge(id: HostBridgeID(domain: 3, bus: 0))], devices: devices,
            kernelGroups: [KernelGroup(number: 0, name: "domain3-pefd"), KernelGroup(number: 1, name: "domain3-pefc")])
        let explanation = try explain(inventory, "0003:01:00.0")
        #expect(explanation.edges.map(\.reason) == [.partitionableEndpoint(.stated, number: 0xfd)])
        #expect(explanation.agreement == .uncertain)
    }
}

@Suite("The backend predicted", .timeLimit(.minutes(15)))
struct PredictedBackendTests {
    private func devices(grouped: Bool) -> [Device] {
        let devices = [
            function("0000:00:00.2", nil, id: 0x1022_1481, classCode: 0x080600),
            function("0000:00:01.0", .rootPort, acs: (0x1d, grouped ? 0x1d : 0)),
            function("0000:01:00.0", .endpoint, below: "0000:00:01.0"), function("0000:00:02.0", .rootPort),
            function("0000:02:00.0", .endpoint, below: "0000:00:02.0"),
        ]
        return grouped ? isolated(devices) : devices
    }

    @Test("shows what the groups would be before the IOMMU is on, and none of them can be claimed") func withoutIOMMU()
    {
        let inventory = machine(devices(grouped: false))
        let grouping = Grouping(inventory, policy: .forced(.predicted))
        #expect(
            grouping.groups.map(\.id.text) == ["pci0000-00_01.0", "pci0000-00_01.0_00.0", "pci0000-00_02.0"])
        #expect(grouping.groups.map(\.members.count) == [1, 1, 2])
        #expect(grouping.groups.allSatisfy { !$0.isolation.isIsolated && !$0.claimability.isClaimable })
        #expect(grouping.groups[0].claimability.reason?.contains("switch the IOMMU on") == true)
        #expect(grouping.ungrouped.map(\.device.name) == ["0000:00:00.2"])
        #expect(grouping.ungrouped[0].reason == "it is the IOMMU itself, which the kernel puts in no IOMMU group")
    }

    @Test("is never smaller than the kernel's groups where there are some, and never claimable") func withIOMMU() {
        let grouping = Grouping(machine(devices(grouped: true)), policy: .forced(.predicted))
        // The rules hold 02.0 and its card together, which this kernel does not.
        #expect(grouping.groups.map(\.members.count) == [1, 1, 1, 2])
        #expect(grouping.disagreements.map(\.group.text) == ["pci0000-00_02.0"])
        #expect(grouping.groups.allSatisfy { !$0.claimability.isClaimable && $0.isolation.isIsolated })
        #expect(grouping.groups[0].claimability.reason?.contains("another backend") == true)
    }

    @Test("is never chosen by itself", arguments: [true, false]) func neverByItself(grouped: Bool) {
        let grouping = Grouping(machine(devices(grouped: grouped)), policy: .auto)
        #expect(grouping.choices.values.allSatisfy { $0.backend != .predicted })
        #expect(grouping.groups.allSatisfy { $0.backend != .predicted })
    }

    @Test("a group across host bridges is one, and no disagreement") func spanning() throws {
        let vmd = try #require(PCIAddress("0000:00:0e.0"))
        var devices = [
            function("0000:00:0e.0", .rootComplexEndpoint), function("10000:00:01.0", .rootPort),
            function("10000:01:00.0", .endpoint, below: "10000:00:01.0"),
        ]
        let bridges = [
            HostBridge(id: HostBridgeID(domain: 0, bus: 0)),
            HostBridge(id: HostBridgeID(domain: 0x10000, bus: 0), parent: vmd),
        ]
        for grouped in [false, true] {
            if grouped { for number in devices.indices { devices[number].kernelGroup = 0 } }
            let inventory = Inventory(
                hostBridges: bridges, devices: devices, kernelGroups: grouped ? [KernelGroup(number: 0)] : [])
            let grouping = Grouping(inventory, policy: .forced(.predicted))
            #expect(grouping.groups.map(\.members.count) == [3])
            #expect(grouping.disagreements.isEmpty)
            #expect(grouping.ungrouped.isEmpty)
        }
    }
}
