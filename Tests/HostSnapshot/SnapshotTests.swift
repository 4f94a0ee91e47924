// Snapshots: what was read of a machine can be replayed from JSON, without loss.

import EventLoop
import Host
import HostSnapshot
import Inventory
import PCI
import Testing
import TestSupport

@testable import LinuxHost
@testable import SimulatedHost

@Suite("Snapshots", .timeLimit(.minutes(15)))
struct SnapshotTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("an inventory comes back from its snapshot as it was", .realCaptures, arguments: Capture.all)
    @LoopActor func roundTrip(capture: Capture) async throws {
        let inventory = try await LinuxHost(root: capture.root).readInventory()
        let replayed = try Inventory.replaying(inventory)
        #expect(replayed.devices == inventory.devices)
        #expect(replayed.hostBridges == inventory.hostBridges)
        #expect(replayed.kernelGroups == inventory.kernelGroups)
        #expect(replayed.kernel == inventory.kernel)
        #expect(replayed.commandLine == inventory.commandLine)
    }

    @Test("what is unknown stays unknown, with its reason")
    func unknown() throws {
        let address = try #require(PCIAddress("0000:00:01.0"))
        let inventory = Inventory(
            hostBridges: [HostBridge(id: HostBridgeID(domain: 0, bus: 0))],
            devices: [
                Device(
                    address: .pci(address),
                    kind: .pci(
                        PCIFunction(
                            hostBridge: HostBridgeID(domain: 0, bus: 0), parent: nil, identification: .init(),
                            capabilities: FunctionCapabilities(unknown: .headerOnly), isBridge: false)),
                    driverOverride: .unknown(.deviceBusy))
            ])
        #expect(try Inventory.replaying(inventory) == inventory)
    }

    @Test("the built-in machine has what a demonstration needs")
    @LoopActor func demo() async throws {
        let inventory = try await SimulatedHost.demo().readInventory()
        #expect(inventory.hostBridges.count == 3)
        let kinds = Set(inventory.devices.compactMap { $0.pci?.capabilities.express.value?.kind })
        #expect(kinds.isSuperset(of: [.rootPort, .upstreamPort, .downstreamPort, .pcieToPCIBridge, .endpoint]))
        #expect(inventory.devices.contains { $0.pci?.virtualFunction != nil })
        #expect(inventory.devices.contains { $0.pci?.identification.classCode?.rawValue == 0x030000 })
        #expect(inventory.devices.allSatisfy { $0.kernelGroup != nil })
        for device in inventory.devices {
            #expect(device.pci?.parent.map { inventory[$0] != nil } ?? true)
        }
    }

    @Test(
        "a snapshot that is none is refused with the place of the mistake",
        arguments: [
            ("{", "it is no JSON"), ("{}", "version"),
            (#"{"version":1,"hostBridges":[],"devices":[]}"#, "kernelGroups"),
            (#"{"version":2,"hostBridges":[],"devices":[],"kernelGroups":[]}"#, "version 2"),
            (#"{"version":1,"hostBridges":[{"id":"x"}],"devices":[],"kernelGroups":[]}"#, "\"x\" is no host bridge"),
            (
                #"{"version":1,"hostBridges":[],"devices":[{"address":{"bus":"pci","name":"x"}}],"kernelGroups":[]}"#,
                "\"pci/x\" is no device address"
            ),
            (
                #"{"version":1,"hostBridges":[],"devices":[{"address":{"bus":"pci","name":"0000:00:01.0"},"function":{"hostBridge":"pci0000:00","bridge":false,"vendorId":65536}}],"kernelGroups":[]}"#,
                "vendorId is 65536"
            ),
        ])
    func refused(text: String, reason: String) {
        do throws(HostError) {
            _ = try Inventory(snapshot: Array(text.utf8))
            Issue.record("it was taken")
        } catch {
            #expect(error.description.contains(reason), "\(error)")
        }
    }
}
