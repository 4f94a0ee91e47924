// What the API tells of the last boot.

import EventLoop
import GroupAPI
import Grouping
import Inventory
import Registry
import Testing
import TestSupport

@testable import Keeper

@Suite("The last boot in the API", .timeLimit(.minutes(15)))
struct LastBootTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("GetStatus and ListGroups say what changed, and nothing where nothing did")
    @LoopActor func told() async throws {
        let fixture = try await ServiceFixture(testMachine)
        let memory = BootMemory(path: fixture.folder.path + "/state")
        #expect(try fixture.keeper.rememberBoot(in: memory) { Issue.record("\($0)") } == nil)
        #expect(try await fixture.call(Manager.GetStatus.self, .init()).lastBoot == nil)
        // The boot before, as a daemon of that boot leaves it.
        let before = machine(
            pciDevice("0000:00:01.0", group: 1, isBridge: true, driver: "pcieport"),
            pciDevice("0000:01:00.0", parent: "0000:00:01.0", group: 2), kernel: "6.1.0")
        try memory.save(RememberedBoot(Registry(before, policy: .auto).snapshot, bootID: "another"))
        try fixture.keeper.rememberBoot(in: memory) { Issue.record("\($0)") }
        let last = try #require(try await fixture.call(Manager.GetStatus.self, .init()).lastBoot)
        #expect(last.kernelRelease == "6.1.0")
        #expect(last.changes.map(\.kind) == [.appeared])
        #expect(last.changes.first?.device?.name == "0000:01:00.1")
        let groups = try await fixture.call(Groups.ListGroups.self, .init()).groups
        #expect(groups.map { $0.sinceLastBoot?.count } == [nil, 1])
        let one = try await fixture.call(Groups.GetGroup.self, .init(id: groups[1].id)).group
        #expect(one.sinceLastBoot == groups[1].sinceLastBoot)
        await fixture.stop()
    }
}
