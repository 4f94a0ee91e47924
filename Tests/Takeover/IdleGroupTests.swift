// Which groups of captured machines are refused for what they are: those alone that hold nothing but the chipset.

import EventLoop
import Grouping
import Host
import HostSnapshot
import Inventory
import LinuxHost
import PCI
import Registry
import SimulatedHost
import Testing
import TestSupport

@testable import Takeover

@Suite("Groups that nobody uses", .timeLimit(.minutes(15)))
struct IdleGroupTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test(
        "can be asked for by a device or by name, unless all of it is the chipset", .realCaptures,
        arguments: Capture.all)
    @LoopActor func captures(capture: Capture) async throws {
        check(try await LinuxHost(root: capture.root).readInventory(), capture.name)
    }

    @Test("can be asked for on the demo machine")
    @LoopActor func demo() async throws {
        check(try await SimulatedHost.demo().readInventory(), "demo")
    }

    /// Endpoints that are no part of the machine itself, whatever their class codes are called.
    private func check(_ inventory: Inventory, _ name: String) {
        for record in Registry(inventory, policy: .auto).snapshot.groups {
            let devices = record.members.map(\.device).filter { !$0.isBridge }
            let others = devices.filter { ChipsetFunctions.name(of: $0) == nil }
            for device in others {
                let uses = ChipsetFunctions.uses(record, askedBy: [.device(device.address)])
                #expect(uses.allSatisfy { !$0.stopsClaim }, "\(name): \(device.address)")
            }
            let whole = ChipsetFunctions.uses(record, askedBy: [.group(record.id.text)])
            // What is refused was looked at by hand: host bridges, pairs of an ISA bridge and an SMBus controller, data
            // fabrics, PSPs.
            #expect(others.isEmpty || whole.allSatisfy { !$0.stopsClaim }, "\(name): \(record.id)")
        }
    }
}
