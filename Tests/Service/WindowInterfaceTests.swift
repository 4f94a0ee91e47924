// DMA windows and resets over the API.

import EventLoop
import Glibc
import GroupAPI
import Grouping
import HostSnapshot
import Inventory
import Keeper
import PCI
import Registry
import SimulatedHost
import Takeover
import Testing
import TestSupport

@testable import Service

@Suite("Windows and resets over the API", .timeLimit(.minutes(15)))
struct WindowInterfaceTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("GetGroup gives the windows, and ListGroups leaves them out")
    @LoopActor func windows() async throws {
        let fixture = try await ServiceFixture(try await SimulatedHost.demo().readInventory())
        let group = try await fixture.call(Groups.GetGroup.self, .init(kernelGroup: 2)).group
        let windows = try #require(group.windows)
        #expect(windows.map(\.kind) == [.usable, .usable, .msi])
        #expect(windows.map(\.start) == ["0x0", "0xfef00000", "0xfee00000"])
        #expect(windows.map(\.last) == ["0xfedfffff", "0x7fffffffff", "0xfeefffff"])
        #expect(windows.allSatisfy { $0.time == .boot && $0.pageSizes == nil })
        let all = try await fixture.call(Groups.ListGroups.self, .init()).groups
        #expect(all.allSatisfy { $0.windows == nil })
        await fixture.stop()
    }

    @Test("once a claim has attached the group, the kernel's ranges take the place of what was derived")
    @LoopActor func attached() async throws {
        let host = try SimulatedHost.demo()
        let keeper = try await Keeper(testing: host)
        let takeover = keeper.takeover
        let process = try #require(host.process(getpid()))
        let device = DeviceAddress.pci(try #require(.init("0000:84:00.0")))
        let granted = try await takeover.claim(
            ClaimRequest([.device(device)], lifetime: .manual), for: Owner(uid: 0, gid: 0, process: process))
        let ranges = granted.claim.ranges
        #expect(!ranges.isEmpty)
        let record = try #require(keeper.snapshot.group(of: device))
        let windows = keeper.windows(of: record)
        #expect(windows.filter { $0.kind == .usable }.map(\.start) == ranges.map { $0.lowerBound })
        #expect(windows.filter { $0.kind == .usable }.allSatisfy { $0.time == .attached })
        #expect(windows.contains { $0.kind == .msi && $0.time == .boot })
        takeover.stop()
    }

    @Test("GetResets gives the reach of each member, and what is not known is absent")
    @LoopActor func resets() async throws {
        let fixture = try await ServiceFixture(try await SimulatedHost.demo().readInventory())
        let reply = try await fixture.call(
            Groups.GetResets.self, .init(device: .init(bus: "pci", name: "0000:01:00.1")))
        #expect(reply.group == "pci0000-00_01.0_00.0")
        #expect(reply.members.map(\.address.name) == ["0000:01:00.0", "0000:01:00.1"])
        #expect(reply.members[0].bus?.devices.count == 2)
        #expect(reply.members[0].slot?.name == "1")
        // This host answers nothing that only the kernel knows.
        #expect(reply.members[0].methods == nil)
        let error = try await fixture.error(Groups.GetResets.self, .init(id: "nonsense"))
        #expect(error.name == "io.vfiogroupd.Groups.NoSuchGroup")
        await fixture.stop()
    }

    @Test("a simulated machine has the method that SetReset leaves it")
    @LoopActor func simulated() async throws {
        let host = try SimulatedHost.demo()
        let card = DeviceAddress.pci(try #require(.init("0000:01:00.0")))
        #expect(host.resetMethods(of: card) == ["flr"])
        host.perform { $0.setReset(.absent, of: card) }
        #expect(host.resetMethods(of: card) == [])
        let nobody = DeviceAddress.pci(try #require(.init("0000:77:00.0")))
        #expect(host.resetMethods(of: nobody) == nil)
    }
}
