// What cannot be found out is neither gone nor nobody: nothing is given back for it, and it is asked again.

import EventLoop
import Grouping
import Host
import Inventory
import PCI
import Registry
import SimulatedHost
import Testing
import TestSupport

@testable import Takeover

@Suite("What cannot be found out", .timeLimit(.minutes(15)))
struct UnknownTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test(
        "does not end a claim: whether its owner lives is asked again, and then it ends or stays",
        arguments: [true, false])
    @LoopActor func owner(hasEnded: Bool) async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        var daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.single, lifetime: .process).get().claim.claim.id
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        machine.store.drop(StoredItem.owner.name(of: id))
        if hasEnded { machine.host.endProcess(machine.client) }

        daemon = try await machine.start(unknown: [.processes])
        await machine.settle(daemon, within: .seconds(600))
        #expect(try daemon.takeover.view(of: id).state == .claimed)
        #expect(daemon.reports.filter { $0.contains("whether its owner lives") }.count == 1)
        daemon.host.unknown = []
        await machine.settle(daemon, within: .seconds(600)) { daemon.takeover.claimCount == 0 }
        #expect(daemon.takeover.claimCount == (hasEnded ? 0 : 1))
        guard !hasEnded else { return #expect(try await machine.bindings() == before) }
        machine.host.endProcess(machine.client)
        await machine.settle(daemon, within: .seconds(600)) { daemon.takeover.claimCount == 0 }
        #expect(try await machine.bindings() == before)
    }

    @Test(
        "keeps a release from touching anything until it is known, and is shown",
        arguments: [
            MortalHost.Unknown.holders, .bindings,
        ])
    @LoopActor func release(fact: MortalHost.Unknown) async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        daemon.host.unknown = [fact]
        let release = EventLoop.main.spawn { _ = try? await daemon.takeover.release(id) }
        await machine.settle(daemon, within: .seconds(600))
        for member in TestMachine.triple { #expect(machine.host.kernel[member]?.driver == "vfio-pci") }
        #expect(machine.host.kernel.isOwned(4) || fact == .bindings)
        let view = try daemon.takeover.view(of: id)
        if fact == .holders {
            #expect(view.groups[0].operation?.waitsFor?.contains("cannot be found out") == true)
        } else {
            #expect(view.state.name == "restoring")
        }
        daemon.host.unknown = []
        await machine.settle(daemon, within: .seconds(600)) { daemon.takeover.claimCount == 0 }
        await release.value
        #expect(try await machine.bindings() == before)
    }

    @Test("is no sign that a consumer has gone")
    @LoopActor func consumer() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.single).get().claim.claim.id
        let (_, copies) = try await machine.launch(daemon, id, .bound)
        daemon.host.unknown = [.holders]
        for file in copies { file.letGo() }
        machine.host.collectClosedFiles()
        await machine.settle(daemon, within: .seconds(600))
        #expect(try daemon.takeover.view(of: id).claim.access == .bound)
        daemon.host.unknown = []
        await machine.settle(daemon, within: .seconds(60))
        #expect(try daemon.takeover.view(of: id).claim.access == .hold)
    }

    @Test("about a node keeps it on record until it is what it was")
    @LoopActor func node() async throws {
        let machine = try TestMachine()
        let rule = NodePermissions(uid: 0, gid: 7, mode: 0o660)
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.single).get().claim.claim.id
        try machine.setNodes(rule)
        _ = try await machine.launch(daemon, id, .path)
        daemon.host.unknown = [.nodes]
        let release = EventLoop.main.spawn { _ = try? await daemon.takeover.release(id) }
        await machine.settle(daemon, within: .seconds(60))
        #expect(try daemon.takeover.view(of: id).claim.groups[0].nodes.isEmpty == false)
        daemon.host.unknown = []
        let isBack = {
            try? daemon.takeover.view(of: id).claim.groups.first?.nodes.isEmpty
        }
        await machine.settle(daemon, within: .seconds(60)) { isBack() != false }
        for node in machine.host.kernel.nodesInDev { #expect(machine.host.kernel.permissions(of: node) == rule) }
        await machine.settle(daemon, within: .seconds(60)) { daemon.takeover.claimCount == 0 }
        await release.value
    }

    @Test("about a worker means that its call may be in the kernel: no other is made about the member")
    @LoopActor func worker() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        var daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.single).get().claim.claim.id
        machine.host.perform { $0.inject(SimulatedFault(.reset, of: TestMachine.single, .neverReturns)) }
        _ = try await machine.release(daemon, id).get()
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        daemon = try await machine.start(unknown: [.workers])
        await machine.settle(daemon, within: .seconds(600))
        #expect(machine.host.kernel.blockedOperations.count == 1)
        #expect(try daemon.takeover.view(of: id).claim.groups[0].workers.contains { $0.action == "reset" } == true)
        machine.host.perform { _ = $0.releaseAll() }
        await machine.settle(daemon, within: .seconds(600))
        #expect(machine.host.kernel[TestMachine.single]?.driver == "vfio-pci")
        daemon.host.unknown = []
        await machine.settle(daemon, within: .seconds(600)) { daemon.takeover.claimCount == 0 }
        #expect(try await machine.bindings() == before)
    }
}
