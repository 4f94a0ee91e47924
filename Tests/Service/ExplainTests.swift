// io.vfiogroupd.Groups.Explain over a real socket.

import EventLoop
import GroupAPI
import Grouping
import Inventory
import JSON
import Keeper
import LinuxHost
import PCI
import Testing
import TestSupport
import Varlink

@testable import Service

@Suite("Explain", .timeLimit(.minutes(15)))
struct ExplainTests {
    private func address(_ name: String) -> Groups.DeviceAddress { .init(bus: "pci", name: name) }

    @Test("says edge by edge why a group's devices are together, as data and in sentences")
    @LoopActor func group() async throws {
        let fixture = try await ServiceFixture(testMachine)
        let explanation = try await fixture.call(Groups.Explain.self, .init(id: "pci0000-00_01.0_00.0"))
        #expect(explanation.together)
        #expect(explanation.groups == ["pci0000-00_01.0_00.0"])
        #expect(explanation.edges.count == 1)
        let edge = try #require(explanation.edges.first)
        // By the rules both go with the conventional bridge above; this kernel has only the two together.
        #expect(edge.reason == .functions || edge.reason == .kernel)
        #expect([edge.device.name, edge.other.name].sorted() == ["0000:01:00.0", "0000:01:00.1"])
        #expect(!edge.sentence.isEmpty)
        for parameters in [Groups.Explain.Parameters(device: address("0000:01:00.1")), .init(kernelGroup: 2)] {
            #expect(try await fixture.call(Groups.Explain.self, parameters) == explanation)
        }
        await fixture.stop()
    }

    @Test("an edge carries what its reason needs")
    @LoopActor func edges() async throws {
        let capture = try #require(Capture.named("q35-intel-rich"))
        let fixture = try await ServiceFixture(try await LinuxHost(root: capture.root).readInventory())
        var explanation = try await fixture.call(Groups.Explain.self, .init(device: address("0000:0a:00.0")))
        #expect(explanation.agreement == .confirmed)
        let port = try #require(explanation.edges.first { $0.reason == .ports })
        #expect(port.certain)
        #expect(port.findings.map(\.kind) == [.noCapability])
        #expect(port.findings.first?.isolating == false)
        #expect(port.findings.first?.expressType == .rootPort)
        #expect(explanation.edges.contains { $0.reason == .functions && $0.findings.count == 2 })
        explanation = try await fixture.call(Groups.Explain.self, .init(device: address("0000:09:01.0")))
        #expect(explanation.edges.map(\.alias) == [.pcieToPci, .pcieToPci])
        explanation = try await fixture.call(
            Groups.Explain.self, .init(device: address("0000:01:00.0"), other: address("0000:02:00.0")))
        #expect(!explanation.together)
        #expect(explanation.groups.count == 2)
        let finding = try #require(explanation.findings.first { $0.device.name == "0000:00:04.0" })
        #expect(finding.kind == .servicesOn)
        #expect(
            finding.services == [.sourceValidation, .requestRedirect, .completionRedirect, .upstreamForwarding])
        await fixture.stop()
    }

    @Test("a PE has its rule and number")
    @LoopActor func endpoints() async throws {
        let capture = try #require(Capture.named("powernv9-b-2chip"))
        let fixture = try await ServiceFixture(try await LinuxHost(root: capture.root).readInventory())
        let explanation = try await fixture.call(Groups.Explain.self, .init(device: address("0003:06:01.0")))
        let edge = try #require(explanation.edges.first)
        #expect(edge.endpointRule == .allBuses)
        #expect(edge.partitionableEndpoint == 2)
        #expect(edge.segments == [2, 3])
        #expect(edge.through?.name == "0003:05:00.0")
        await fixture.stop()
    }

    @Test("two devices, one of them in no group, are apart with the reason")
    @LoopActor func ungrouped() async throws {
        let fixture = try await ServiceFixture(testMachine)
        let explanation = try await fixture.call(
            Groups.Explain.self, .init(device: address("0000:01:00.0"), other: address("0000:00:00.0")))
        #expect(!explanation.together)
        #expect(explanation.groups == ["pci0000-00_01.0_00.0"])
        #expect(explanation.remarks.contains { $0.contains("0000:00:00.0 is in no group: ") })
        await fixture.stop()
    }

    @Test("what is named twice, or not at all, is refused with the parameter's name; what is not there has its error")
    @LoopActor func refusals() async throws {
        let fixture = try await ServiceFixture(testMachine)
        let device = address("0000:01:00.0")
        for (parameters, name) in [
            (Groups.Explain.Parameters(), "id"), (.init(other: device), "device"),
            (.init(id: "x", device: device, other: device), "id"), (.init(id: "x", device: device), "device"),
            (.init(device: device, kernelGroup: 1, other: device), "kernelGroup"),
        ] {
            let error = try await fixture.error(Groups.Explain.self, parameters)
            #expect(error.name == "org.varlink.service.InvalidParameter")
            #expect(error.parameters["parameter"] == .string(name))
        }
        var error = try await fixture.error(
            Groups.Explain.self, .init(device: device, other: address("0000:77:00.0")))
        #expect(error.name == "io.vfiogroupd.Groups.NoSuchDevice")
        error = try await fixture.error(Groups.Explain.self, .init(device: address("0000:00:00.0")))
        #expect(error.name == "io.vfiogroupd.Groups.DeviceInNoGroup")
        await fixture.stop()
    }

    @Test("follows the host: an explanation is of the groups that are now")
    @LoopActor func changes() async throws {
        let fixture = try await ServiceFixture(testMachine)
        let parameters = Groups.Explain.Parameters(kernelGroup: 2)
        #expect(try await fixture.call(Groups.Explain.self, parameters).edges.count == 1)
        fixture.keeper.update(machine(Array(testMachine.devices.dropLast()), kernel: "6.12.0"))
        #expect(try await fixture.call(Groups.Explain.self, parameters).edges.isEmpty)
        await fixture.stop()
    }

    @Test("an override on the command line is a remark of the status")
    @LoopActor func override() async throws {
        var inventory = testMachine
        inventory = inventory.booted(with: "pcie_acs_override=downstream")
        let fixture = try await ServiceFixture(inventory)
        let status = try await fixture.call(Manager.GetStatus.self, .init())
        #expect(status.remarks.contains { $0.contains("pcie_acs_override=downstream") })
        let explanation = try await fixture.call(Groups.Explain.self, .init(kernelGroup: 2))
        #expect(explanation.remarks.contains { $0.contains("pcie_acs_override=downstream") })
        await fixture.stop()
    }
}
