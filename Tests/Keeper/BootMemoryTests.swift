// The memory of boots: kept in files, compared at the start, and asked before a claim.

import EventLoop
import Glibc
import Grouping
import Host
import Inventory
import PCI
import Registry
import SimulatedHost
import Takeover
import Testing
import TestSupport

@testable import Keeper

@Suite("The memory of boots", .timeLimit(.minutes(15)))
struct BootMemoryTests {
    init() throws { try EventLoop.main.runInBackground() }

    private let before = machine(
        pciDevice("0000:00:01.0", group: 1, isBridge: true, driver: "pcieport"),
        pciDevice("0000:01:00.0", parent: "0000:00:01.0", group: 2), kernel: "6.1.0")

    private func boot(_ inventory: Inventory, _ id: String) -> RememberedBoot {
        RememberedBoot(Registry(inventory, policy: .auto).snapshot, bootID: id)
    }

    @Test("a boot comes back as it was written, and the last one stays known through restarts of this one")
    func files() throws {
        let folder = TemporaryFolder()
        let memory = BootMemory(path: folder.path + "/state")
        let complain: (String) -> Void = { Issue.record("\($0)") }
        #expect(try memory.previousBoot(than: "a", onProblem: complain) == nil)
        try memory.save(boot(before, "a"))
        #expect(try memory.previousBoot(than: "a", onProblem: complain) == nil)
        #expect(try memory.previousBoot(than: "b", onProblem: complain) == boot(before, "a"))
        try memory.save(boot(testMachine, "b"))
        #expect(try memory.previousBoot(than: "b", onProblem: complain) == boot(before, "a"))
        #expect(try memory.previousBoot(than: "c", onProblem: complain) == boot(testMachine, "b"))
    }

    @Test(
        "a file that cannot be used is told of and passed over",
        arguments: ["", "{", "[]", #"{"version":2}"#, #"{"version":1,"bootId":"a","parameters":[1],"groups":[]}"#])
    func broken(text: String) throws {
        let folder = TemporaryFolder()
        folder.write("groups.json", text)
        var problems: [String] = []
        let memory = BootMemory(path: folder.path)
        #expect(try memory.previousBoot(than: "a") { problems.append($0) } == nil)
        #expect(problems.count == 1)
        try memory.save(boot(before, "a"))
        #expect(try memory.previousBoot(than: "b") { problems.append($0) } == boot(before, "a"))
    }

    @Test("what was accepted is known through restarts in its boot alone, and a file that cannot be used is told of")
    func accepted() throws {
        let folder = TemporaryFolder()
        let memory = BootMemory(path: folder.path)
        var problems: [String] = []
        func accepted(_ boot: String) throws -> [String: String] {
            try memory.accepted(inBoot: boot) { problems.append($0) }
        }
        #expect(try accepted("a") == [:])
        try memory.save(accepted: ["pci0000-00_01.0_00.0": "8086:10d3"], inBoot: "a")
        #expect(try accepted("a") == ["pci0000-00_01.0_00.0": "8086:10d3"])
        #expect(try accepted("b") == [:])
        #expect(problems == [])
        for text in ["{", #"{"version":2,"bootId":"a","devices":{}}"#, #"{"version":1,"bootId":"a"}"#] {
            folder.write("accepted.json", text)
            #expect(try accepted("a") == [:])
        }
        #expect(problems.count == 3)
    }

    @Test("a claim of another device than in the last boot is refused with both, until it was forced once in this boot")
    @LoopActor func refused() async throws {
        let host = SimulatedHost(name: "a test", inventory: before)
        let keeper = try await Keeper(testing: host)
        let folder = TemporaryFolder()
        let memory = BootMemory(path: folder.path)
        var earlier = boot(before, "earlier")
        earlier.groups[1].members[0].identity = "10de:2684"
        try memory.save(earlier)
        try keeper.rememberBoot(in: memory) { Issue.record("\($0)") }
        let process = try #require(host.process(getpid()))
        let owner = Owner(uid: 0, gid: 0, process: process, command: "test")
        let device = DeviceAddress.pci(try #require(.init("0000:01:00.0")))
        func claim(_ keeper: Keeper, force: [DeviceAddress] = []) async throws -> [DeviceUse] {
            let request = ClaimRequest([.device(device)], lifetime: .manual, force: force)
            let takeover = keeper.takeover
            do throws(TakeoverError) {
                let granted = try await takeover.claim(request, for: owner)
                _ = try await takeover.release(granted.claim.claim.id)
                return []
            } catch {
                guard case .inUse(let uses) = error else { throw error }
                return uses
            }
        }
        let uses = [DeviceUse(device, .replaced(before: "10de:2684", now: "8086:10d3"))]
        #expect(try await claim(keeper) == uses)
        #expect(uses[0].reason == "it is another device than in the last boot: 8086:10d3 now, 10de:2684 then")
        #expect(try await claim(keeper) == uses)
        #expect(try await claim(keeper, force: [device]) == [])
        #expect(try await claim(keeper) == [])
        keeper.stop()

        let restarted = try await Keeper(testing: host)
        try restarted.rememberBoot(in: memory) { Issue.record("\($0)") }
        #expect(restarted.lastBoot?.changes.map(\.kind) == [.replaced])
        #expect(try await claim(restarted) == [])
        restarted.stop()
    }
}
