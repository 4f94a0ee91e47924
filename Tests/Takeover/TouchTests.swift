// A member is touched only if it is the device on record, on the driver that the daemon bound, and open to nobody else:
// whatever the daemon forgot, and whatever others did meanwhile. The simulated kernel notes what breaks that.

import EventLoop
import Grouping
import Host
import Inventory
import Registry
import Testing
import TestSupport

@testable import SimulatedHost
@testable import Takeover

@Suite("A member is touched", .timeLimit(.minutes(15)))
struct TouchTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// Why a group goes back.
    enum End: String, CaseIterable {
        case released, ownerEnded, connectionClosed
    }

    @Test("only when its consumer has let go, also by a daemon that starts amid the way back", arguments: End.allCases)
    @LoopActor func restart(end: End) async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        var daemon = try await machine.start()
        let lifetime: Lifetime =
            switch end {
            case .released: .manual
            case .ownerEnded: .process
            case .connectionClosed: .connection
            }
        let id = try await machine.claim(daemon, TestMachine.triple[0], lifetime: lifetime).get().claim.claim.id
        let (_, copies) = try await machine.launch(daemon, id, .bound)
        if end == .released {
            let takeover = daemon.takeover
            EventLoop.main.spawn { _ = try? await takeover.release(id) }
        }
        await machine.settle(daemon, within: .seconds(60))
        daemon.kill()
        if end == .ownerEnded { machine.host.endProcess(machine.client) }
        await machine.settle(daemon, within: .seconds(1))

        daemon = try await machine.start()
        await machine.settle(daemon, within: .seconds(600))
        #expect(machine.host.brokenPromises == [])
        #expect(try daemon.takeover.view(of: id).state == .releasing)
        #expect(try daemon.takeover.view(of: id).groups[0].operation?.action == "wait for the owner")
        for member in TestMachine.triple { #expect(machine.host.kernel[member]?.driver == "vfio-pci") }
        for file in copies { file.letGo() }
        machine.host.collectClosedFiles()
        await machine.settle(daemon, within: .seconds(600)) { daemon.takeover.claimCount == 0 }
        #expect(machine.host.brokenPromises == [])
        #expect(try await machine.bindings() == before)
    }

    @Test("by no release that finds it on a host driver: somebody else gave it back, and the host may use it")
    @LoopActor func onHostDriver() async throws {
        let machine = try TestMachine(kernel: "6.1.0-40-amd64", hasIOMMUFD: false)
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.single).get().claim.claim.id
        machine.host.perform { kernel in
            _ = kernel.write(.driverOverride(TestMachine.single, "e1000e\n"))
            _ = kernel.write(.unbind(TestMachine.single, from: "vfio-pci"))
            _ = kernel.write(.bind(TestMachine.single, to: "e1000e"))
        }
        #expect(machine.host.kernel[TestMachine.single]?.driver == "e1000e")
        let view = try await machine.release(daemon, id).get()
        let member = try #require((view.groups + view.returned).first?.record.members.first)
        #expect(member.reset == .notReset(reason: "somebody bound it to e1000e meanwhile"))
        #expect(machine.host.brokenPromises == [])
        #expect(try await machine.bindings() == before)
    }

    @Test("not at all where another device has its address by now")
    @LoopActor func replaced() async throws {
        let machine = try TestMachine(hasIOMMUFD: false)
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.single).get().claim.claim.id
        let another = pciDevice("0000:01:00.0", parent: "0000:00:01.0", driver: "nvme", id: 0xa808)
        try machine.host.perform { (kernel) throws(KernelErrno) in
            _ = kernel.unplug(TestMachine.single)
            try kernel.plug(another, into: .newGroup)
            kernel.settle()
            // Somebody has it use vfio, for reasons of his own.
            _ = kernel.write(.driverOverride(TestMachine.single, "vfio-pci\n"))
            _ = kernel.write(.driversProbe(TestMachine.single))
        }
        let now = try await machine.bindings()[TestMachine.single]
        _ = await machine.release(daemon, id)
        #expect(machine.host.brokenPromises == [])
        #expect(try await machine.bindings()[TestMachine.single] == now)
    }

    @Test("not while a descriptor is open that nothing in /proc shows")
    @LoopActor func hidden() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        let (_, copies) = try await machine.launch(daemon, id, .bound)
        machine.host.hidesHolders = true
        let takeover = daemon.takeover
        EventLoop.main.spawn { _ = try? await takeover.release(id) }
        await machine.settle(daemon, within: .seconds(600))
        #expect(machine.host.brokenPromises == [])
        #expect(try daemon.takeover.view(of: id).state == .releasing)
        for file in copies { file.letGo() }
        machine.host.collectClosedFiles()
        await machine.settle(daemon, within: .seconds(600)) { daemon.takeover.claimCount == 0 }
        #expect(machine.host.brokenPromises == [])
        #expect(daemon.takeover.claimCount == 0)
    }

    @Test("not on the way back either, when somebody opens it between two steps")
    @LoopActor func openedMeanwhile() async throws {
        let machine = try TestMachine(hasIOMMUFD: true)
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        let (_, copies) = try await machine.launch(daemon, id, .path)
        for file in copies { file.letGo() }
        machine.host.collectClosedFiles()
        machine.host.perform { $0.inject(SimulatedFault(.reset, of: TestMachine.triple[0], .neverReturns)) }
        let takeover = daemon.takeover
        EventLoop.main.spawn { _ = try? await takeover.release(id) }
        await machine.settle(daemon, within: .seconds(600)) { !machine.host.kernel.blockedOperations.isEmpty }
        // While the first member is being reset, a consumer that has only now come opens the last one.
        let late = machine.host.perform { kernel in
            let file = kernel.vfioNumber(of: TestMachine.triple[2]).flatMap { try? kernel.openCdev($0) }
            kernel.releaseAll()
            return file
        }
        let file = try #require(late)
        await machine.settle(daemon, within: .seconds(600))
        #expect(machine.host.brokenPromises == [])
        machine.host.perform { $0.closeWhateverHappens(file) }
        await machine.settle(daemon, within: .seconds(600)) { daemon.takeover.claimCount == 0 }
        #expect(machine.host.brokenPromises == [])
        #expect(daemon.takeover.claimCount == 0)
    }
}
