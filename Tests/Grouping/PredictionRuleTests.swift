// The kernel's rules, one by one, on machines made up for it. Functions are named by bus, device and function alone.

import Inventory
import PCI
import Testing
import TestSupport

@testable import Grouping

@Suite("The rules for isolation groups", .timeLimit(.minutes(15)))
struct PredictionRuleTests {
    private func predict(_ devices: [Device]) -> Prediction { Prediction(machine(isolated(devices))) }

    /// The groups of several devices, written shortly.
    private func groups(_ prediction: Prediction) -> [String] {
        prediction.groups.filter { $0.count > 1 }.map { $0.map { String($0.name.dropFirst(5)) }.joined(separator: " ") }
    }

    private func groups(_ devices: Device...) -> [String] { groups(predict(devices)) }

    private let port = function("0000:00:01.0", .rootPort, acs: isolating)
    private let bare = function("0000:00:01.0", .rootPort)
    private let card = function("0000:01:00.0", .endpoint, below: "0000:00:01.0")

    @Test("behind a port with all services on, a device is alone") func isolatingPort() {
        #expect(groups(port, card) == [])
    }

    @Test(
        "a port that lacks one service it offers carries what is behind it, and the edge names the service",
        arguments: [(0x01, "SV"), (0x04, "RR"), (0x08, "CR"), (0x10, "UF")])
    func missing(bit: UInt16, name: String) throws {
        let prediction = predict([function("0000:00:01.0", .rootPort, acs: (0x1d, 0x1d & ~bit)), card])
        #expect(groups(prediction) == ["00:01.0 01:00.0"])
        let edge = try #require(prediction.edges.first)
        #expect(edge.isCertain)
        guard case .ports(let failing) = edge.reason,
            case .notIsolating(.switchedOff(let flags))? = failing.first?.verdict
        else {
            Issue.record("\(edge.reason)")
            return
        }
        #expect(flags.names == [name])
        #expect(edge.sentence.contains("with \(name) not switched on"))
    }

    @Test(
        "a service that is not offered counts as one that is not needed",
        arguments: [(0x13, 0x11), (0, 0), (0x5f, 0x1d)])
    func notOffered(capability: UInt16, control: UInt16) {
        #expect(groups(function("0000:00:01.0", .rootPort, acs: (capability, control)), card) == [])
    }

    @Test("one port without ACS at the top carries everything below, whatever is in between")
    func top() {
        #expect(
            groups(
                bare, function("0000:01:00.0", .upstreamPort, below: "0000:00:01.0"),
                function("0000:02:00.0", .downstreamPort, below: "0000:01:00.0", acs: isolating),
                function("0000:03:00.0", .endpoint, below: "0000:02:00.0"),
                function("0000:02:01.0", .downstreamPort, below: "0000:01:00.0", acs: isolating))
                == ["00:01.0 01:00.0 02:00.0 02:01.0 03:00.0"])
    }

    @Test("a downstream port without ACS carries its own slot alone") func downstream() {
        #expect(
            groups(
                port, function("0000:01:00.0", .upstreamPort, below: "0000:00:01.0"),
                function("0000:02:00.0", .downstreamPort, below: "0000:01:00.0"),
                function("0000:03:00.0", .endpoint, below: "0000:02:00.0"),
                function("0000:02:01.0", .downstreamPort, below: "0000:01:00.0", acs: isolating),
                function("0000:04:00.0", .endpoint, below: "0000:02:01.0")) == ["02:00.0 03:00.0"])
    }

    @Test("functions of a slot that do not isolate are together, one that does is alone beside them")
    func functions() {
        #expect(
            groups(
                function("0000:00:01.0", nil, multifunction: true),
                function("0000:00:01.1", .rootPort, acs: isolating, multifunction: true),
                function("0000:00:01.2", .rootPort, multifunction: true), function("0000:00:02.0", nil))
                == ["00:01.0 00:01.2"])
        // A card's two functions, without ACS and with an empty one.
        let second = function("0000:01:00.1", .endpoint, below: "0000:00:01.0")
        #expect(
            groups(port, function("0000:01:00.0", .endpoint, below: "0000:00:01.0", multifunction: true), second)
                == ["01:00.0 01:00.1"])
        let empty: Services = (0, 0)
        #expect(
            groups(
                port, function("0000:01:00.0", .endpoint, below: "0000:00:01.0", acs: empty, multifunction: true),
                second)
                == [])
    }

    @Test("with ARI every function but the first is one of several, whatever its device number") func ari() {
        func devices(_ forwarding: Bool) -> [Device] {
            [
                function("0000:00:01.0", .rootPort, acs: isolating, ariForwarding: forwarding),
                function("0000:01:01.0", .endpoint, below: "0000:00:01.0"),
                function("0000:01:01.1", .endpoint, below: "0000:00:01.0"),
            ]
        }
        #expect(groups(predict(devices(true))) == ["01:01.0 01:01.1"])
        // Without, 01.0 is what its header says, a single function, and passes.
        #expect(groups(predict(devices(false))) == [])
    }

    @Test(
        "what is behind a bridge that hides requesters is in the bridge's group",
        arguments: [
            (PCIExpress.Kind.pcieToPCIBridge, UInt32(0x104c_8240), BridgeAlias.pcieToPCI),
            (.pciToPCIeBridge, 0x104c_8231, .pciToPCIe), (nil, 0x104c_8240, .conventional),
            (nil, 0x1b21_1080, .hidden), (nil, 0x8086_244e, .hidden),
        ] as [(PCIExpress.Kind?, UInt32, BridgeAlias)])
    func bridges(kind: PCIExpress.Kind?, id: UInt32, alias: BridgeAlias) {
        let prediction = predict([
            port, function("0000:01:00.0", kind, below: "0000:00:01.0", id: id, bridge: true),
            function("0000:02:00.0", nil, below: "0000:01:00.0"),
            function("0000:02:01.0", nil, below: "0000:01:00.0"),
        ])
        #expect(groups(prediction) == ["01:00.0 02:00.0 02:01.0"])
        #expect(prediction.edges.map(\.reason) == [.requesterAlias(alias), .requesterAlias(alias)])
    }

    @Test("a bridge on the root bus, or behind another bridge to PCI, hides nothing but is conventional")
    func notHidden() {
        let onRootBus = predict([
            function("0000:00:1e.0", nil, id: 0x8086_244e, bridge: true),
            function("0000:01:00.0", nil, below: "0000:00:1e.0"),
        ])
        #expect(onRootBus.edges.map(\.reason) == [.requesterAlias(.conventional)])
        let nested = predict([
            function("0000:00:01.0", .pcieToPCIBridge),
            function("0000:01:00.0", nil, below: "0000:00:01.0", id: 0x1b21_1080, bridge: true),
            function("0000:02:00.0", nil, below: "0000:01:00.0"),
        ])
        #expect(groups(nested) == ["00:01.0 01:00.0 02:00.0"])
        #expect(nested.edges.last?.reason == .requesterAlias(.conventional))
    }

    @Test("above a bridge that the IOMMU sits in, bridges do not hide requesters") func translationRoot() {
        #expect(
            groups(
                function("0000:00:01.0", .pcieToPCIBridge),
                function("0000:01:00.0", .rootPort, below: "0000:00:01.0", acs: isolating, id: 0x14e4_9000),
                function("0000:02:00.0", .endpoint, below: "0000:01:00.0")) == ["00:01.0 01:00.0 02:00.0"])
        // The way to the root does not isolate here, but the alias above is not what joins them.
        let prediction = predict([
            function("0000:00:01.0", .pcieToPCIBridge),
            function("0000:01:00.0", .rootPort, below: "0000:00:01.0", id: 0x14e4_9084),
            function("0000:02:00.0", .endpoint, below: "0000:01:00.0"),
        ])
        guard case .ports? = prediction.edges.last?.reason else {
            Issue.record("\(prediction.edges)")
            return
        }
    }

    @Test("impossible port types are taken for what they must be") func portTypes() {
        // A "downstream port" right below a root port is the upstream port, single, and passes.
        #expect(
            groups(
                port, function("0000:01:00.0", .downstreamPort, below: "0000:00:01.0"),
                function("0000:02:00.0", .downstreamPort, below: "0000:01:00.0", acs: isolating),
                function("0000:03:00.0", .endpoint, below: "0000:02:00.0")) == [])
        // An "upstream port" below an upstream port is a downstream port, which needs ACS.
        #expect(
            groups(
                port, function("0000:01:00.0", .upstreamPort, below: "0000:00:01.0"),
                function("0000:02:00.0", .upstreamPort, below: "0000:01:00.0"),
                function("0000:03:00.0", .endpoint, below: "0000:02:00.0")) == ["02:00.0 03:00.0"])
    }

    @Test("a virtual function is alone where the ports isolate, and goes with them where not") func virtualFunctions() {
        func devices(_ port: Device) -> [Device] {
            let physical = "0000:01:00.0"
            return [port, function(physical, .endpoint, below: "0000:00:01.0", multifunction: true)]
                + (0..<2).map {
                    function("0000:01:10.\($0)", .endpoint, below: "0000:00:01.0", virtual: (physical, $0)).unreadable
                }
        }
        #expect(groups(predict(devices(port))) == [])
        #expect(predict(devices(port)).edges.isEmpty)
        #expect(groups(predict(devices(bare))) == ["00:01.0 01:00.0 01:10.0 01:10.1"])
    }

    @Test("event collectors never isolate; kinds that the kernel asks nothing of do") func kinds() {
        #expect(
            groups(
                function("0000:00:08.0", .rootComplexEndpoint, multifunction: true),
                function("0000:00:08.1", .rootComplexEventCollector)) == ["00:08.0 00:08.1"])
        var reserved = function("0000:00:08.1", .endpoint)
        if var pci = reserved.pci {
            pci.capabilities.express = .present(
                PCIExpress(kind: nil, ariForwardingSupported: false, ariForwardingEnabled: false))
            reserved.kind = .pci(pci)
        }
        #expect(groups(function("0000:00:08.0", .rootComplexEndpoint, multifunction: true), reserved) == [])
    }

    @Test("a device in no kernel group is nobody's partner") func unplaced() {
        var bridge = bare
        bridge.kernelGroup = nil
        let prediction = Prediction(machine([bridge] + isolated([card])))
        #expect(prediction.groups.map(\.count) == [1])
        #expect(prediction.group(of: bridge.address) == nil)
    }

    @Test("without an IOMMU the kernel is taken to have switched on what is offered, unless it was told not to")
    func assumed() throws {
        let devices = [function("0000:00:01.0", .rootPort, acs: (0x1d, 0)), card]
        var inventory = machine(devices)
        let prediction = Prediction(inventory)
        #expect(prediction.assumesIOMMU)
        #expect(groups(prediction) == [])
        let port = try #require(devices[0].address.pci)
        #expect(prediction.finding(on: port)?.verdict == .isolating(.servicesOnceSwitchedOn(offered: .isolation)))
        inventory = inventory.booted(with: "quiet pci=noaer,disable_acs_redir=00:01.0")
        #expect(groups(Prediction(inventory)) == ["00:01.0 01:00.0"])
    }

    @Test("on POWER without its device tree nothing finer than a host bridge is predicted, whatever ACS says")
    func power() {
        let prediction = Prediction(
            machine(
                function("0000:00:00.0", .rootPort, acs: isolating, id: 0x1014_04c1),
                function("0000:01:00.0", .endpoint, below: "0000:00:00.0")))
        #expect(groups(prediction) == ["00:00.0 01:00.0"])
        #expect(prediction.edges.map(\.reason) == [.hostBridge(HostBridgeID(domain: 0, bus: 0))])
    }

    @Test("bridges that form a ring end the walk") func ring() {
        #expect(
            groups(
                function("0000:00:01.0", .rootPort, below: "0000:01:00.0"),
                function("0000:01:00.0", .upstreamPort, below: "0000:00:01.0"),
                function("0000:02:00.0", .endpoint, below: "0000:01:00.0")
            ).count <= 1)
    }
}
