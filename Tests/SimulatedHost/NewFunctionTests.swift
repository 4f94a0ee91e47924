// Where a function that is plugged in comes to sit.

import EventLoop
import HostSnapshot
import Inventory
import PCI
import Testing
import TestSupport

@testable import SimulatedHost

@Suite("A function that is plugged in", .timeLimit(.minutes(15)))
struct NewFunctionTests {
    init() throws { try EventLoop.main.runInBackground() }

    private func function(_ address: String) throws -> NewFunction {
        NewFunction(at: try #require(PCIAddress(address)), .init(vendorID: 0x8086, deviceID: 0x10d3), driver: "igb")
    }

    @LoopActor private func demo() async throws -> Inventory { try await SimulatedHost.demo().readInventory() }

    private func port(_ address: String) throws -> NewFunction.Position {
        .behind(try #require(PCIAddress(address)))
    }

    @Test("joins the group that it cannot be isolated from, below what is above its neighbours")
    @LoopActor func joins() async throws {
        let demo = try await demo()
        let placed = try function("0000:01:00.2").placed(.inGroup(2), in: demo)
        #expect(placed.place == .group(2))
        #expect(placed.device.pci?.parent?.description == "0000:00:01.0")
        #expect(placed.device.pci?.hostBridge.description == "pci0000:00")
        #expect(placed.device.driver == "igb")
        #expect(try function("0000:00:1e.0").placed(.inGroup(nil), in: demo).place == .noGroup)
    }

    @Test("behind an empty port has a new group where the port isolates, and the port's where it does not")
    @LoopActor func emptyPort() async throws {
        let demo = try await demo()
        var kernel = SimulatedKernel(demo)
        #expect(kernel.unplug(device("0000:02:00.0")) == .done)
        #expect(kernel.unplug(device("0000:03:00.0")) == .done)
        #expect(try function("0000:02:00.0").placed(port("0000:00:06.0"), in: kernel.inventory).place == .newGroup)
        #expect(try function("0000:03:00.0").placed(port("0000:00:1c.0"), in: kernel.inventory).place == .group(7))
    }

    @Test("behind a port that is not empty shares the group of what is there")
    @LoopActor func neighbour() async throws {
        let demo = try await demo()
        #expect(try function("0000:02:00.1").placed(port("0000:00:06.0"), in: demo).place == .group(4))
    }

    @Test(
        "is refused where nothing can sit, with the reason",
        arguments: [
            ("0000:02:00.0", "0000:00:06.0", "is there already"),
            ("0000:01:00.2", "0000:00:06.0", "is behind 0000:00:01.0"),
            ("0000:00:1e.0", "0000:00:06.0", "is behind no bridge"),
            ("0000:77:00.0", "0000:00:06.0", "no bridge leads to the bus"),
            ("0001:02:00.1", "0000:00:06.0", "no bridge leads to the bus"),
        ])
    @LoopActor func refused(address: String, behind: String, reason: String) async throws {
        let function = try function(address)
        let position = try port(behind)
        let inventory = try await demo()
        do throws(NewFunction.Misplaced) {
            _ = try function.placed(position, in: inventory)
            Issue.record("it was placed")
        } catch { #expect(error.reason.contains(reason), "\(error.reason)") }
    }
}
