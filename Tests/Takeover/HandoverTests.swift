// What owners get, what stays owned meanwhile, and how the daemon has it again.

import EventLoop
import Grouping
import Host
import Inventory
import PCI
import Registry
import Testing
import TestSupport

@testable import SimulatedHost
@testable import Takeover

@Suite("A hand-over", .timeLimit(.minutes(15)))
struct HandoverTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("of bound cdevs, or of group and container, is never unowned, and nothing of it outlives the consumer")
    @LoopActor func neverUnowned() async throws {
        for (access, hasIOMMUFD) in [(Access.bound, true), (.container, true), (.container, false)] {
            let machine = try TestMachine(hasIOMMUFD: hasIOMMUFD)
            let daemon = try await machine.start()
            let claim = try await machine.claim(
                daemon, TestMachine.triple[0], access: access == .container ? .container : .hold
            ).get()
            if let handover = claim.handover {
                await daemon.takeover.finishHandover(handover, of: claim.claim.claim.id)
            }
            let id = claim.claim.claim.id
            if access == .container {
                // Nobody kept a copy: the daemon has it again before it is handed over for real.
                await machine.settle(daemon, within: .seconds(60)) { daemon.takeover.claims[id]?.consumer == nil }
            }
            let (handover, copies) = try await machine.launch(daemon, id, access)
            #expect(handover.devices.map(\.device) == (access == .bound ? TestMachine.triple : []))
            #expect(handover.groups.map(\.kernelGroup) == (access == .container ? [4] : []))
            #expect(machine.host.kernel.isOwned(4))
            await machine.settle(daemon, within: .seconds(120))
            #expect(machine.host.kernel.isOwned(4))
            #expect(try daemon.takeover.view(of: id).claim.access == access)
            // The daemon has no device open that its consumer has.
            for file in copies { file.letGo() }
            machine.host.collectClosedFiles()
            #expect(machine.host.kernel.files(of: TestMachine.triple[0]).isEmpty)
            await machine.settle(daemon, within: .seconds(60)) { machine.host.kernel.isOwned(4) }
            #expect(machine.host.kernel.isOwned(4))
            #expect(try daemon.takeover.view(of: id).claim.access == .hold)
        }
    }

    @Test(
        "of unbound cdevs is unowned until the consumer binds, which is put on record; a member left out prevents that")
    @LoopActor func unbound() async throws {
        for leaveOut in [[], [TestMachine.triple[2]]] {
            let machine = try TestMachine()
            let daemon = try await machine.start()
            let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
            let (handover, copies) = try await machine.launch(daemon, id, .unbound, leaveOut: leaveOut)
            #expect(handover.devices.map(\.device) == TestMachine.triple.filter { !leaveOut.contains($0) })
            #expect(machine.host.kernel.isOwned(4) == !leaveOut.isEmpty)
            let view = try daemon.takeover.view(of: id)
            #expect(view.claim.unownedMoments.count == (leaveOut.isEmpty ? 1 : 0))
            // Whoever unbinds one meanwhile waits, the consumer there or not.
            #expect(machine.host.kernel.files(of: TestMachine.triple[0]).count == 2)
            // A consumer that binds by itself can: in the claim's iommufd.
            let kernel = machine.host
            let cdev = try #require(kernel.files.file(copies[0]))
            let last = try #require(copies.last)
            let iommufd = try #require(kernel.files.file(last))
            try kernel.perform { (kernel) throws(SimulatedKernel.Refusal) in
                try kernel.bindIOMMUFD(cdev, iommufd)
                // In an address space of its own, which a member that the daemon has attached would prevent.
                try kernel.attach(cdev, to: 7)
            }
            #expect(machine.host.kernel.isOwned(4))
            for file in copies { file.letGo() }
            machine.host.collectClosedFiles()
            await machine.settle(daemon, within: .seconds(60)) { daemon.takeover.claims[id]?.consumer == nil }
            await machine.settle(daemon, within: .seconds(1))
            #expect(machine.host.kernel.isOwned(4))
            #expect(try daemon.takeover.view(of: id).claim.unownedMoments.allSatisfy { $0.seconds != nil })
        }
    }

    @Test(
        "of a device that somebody unbinds or removes is told of where the kernel announces nothing before it is let go of",
        arguments: [false, true])
    @LoopActor func unannounced(isRemoval: Bool) async throws {
        let machine = try TestMachine(kernel: "6.1.0-56-amd64", hasIOMMUFD: false)
        let daemon = try await machine.start()
        daemon.takeover.timing.memberLook = .seconds(2)
        let id = try await machine.claim(daemon, TestMachine.single).get().claim.claim.id
        let (_, copies) = try await machine.launch(daemon, id, .container)
        let group = try #require(machine.host.files.file(copies[0]))
        let device = try machine.host.perform { (kernel) throws(SimulatedKernel.Refusal) in
            try kernel.getDevice(group, TestMachine.single)
        }
        let uevents = machine.host.kernel.ueventCount
        machine.host.perform { kernel in
            _ = kernel.write(isRemoval ? .remove(TestMachine.single) : .unbind(TestMachine.single, from: "vfio-pci"))
        }
        #expect(machine.host.kernel.ueventCount == uevents)
        await machine.settle(daemon, within: .seconds(3))
        let requests = { daemon.claimEvents.count { $0.isRemovalRequest && $0.member == TestMachine.single } }
        #expect(requests() == 1)
        #expect(daemon.state(TestMachine.single)?.name == "degraded")
        await machine.settle(daemon, within: .seconds(60))
        #expect(requests() == 1)

        machine.host.perform { $0.closeWhateverHappens(device) }
        for file in copies { file.letGo() }
        machine.host.collectClosedFiles()
        await machine.settle(daemon, within: .seconds(60)) { daemon.takeover.claims[id]?.consumer == nil }
        await machine.settle(daemon, within: .seconds(5))
        if isRemoval {
            #expect(
                try daemon.takeover.view(of: id).groups[0].problems == [
                    TestMachine.single: "the device left the host; vfiogroupctl release \(id) ends its claim"
                ])
        } else {
            #expect(machine.host.kernel[TestMachine.single]?.driver == "vfio-pci")
            #expect(try daemon.takeover.view(of: id).state == .claimed)
        }
    }

    @Test("lets a member leave at once that was left out, and is not owned before its consumer binds another")
    @LoopActor func leftOutLeaves() async throws {
        let machine = try TestMachine(kernel: "6.12.95")
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        let leaving = TestMachine.triple[2]
        let (_, copies) = try await machine.launch(daemon, id, .unbound, leaveOut: [leaving])
        machine.host.perform { _ = $0.unplug(leaving) }
        await machine.settle(daemon, within: .seconds(5))
        #expect(machine.host.kernel.blockedOperations.isEmpty)
        #expect(machine.host.kernel[leaving] == nil)
        let request = try #require(daemon.claimEvents.first { $0.isRemovalRequest })
        #expect(request.cause.contains("it was left out of what its consumer has"), "\(request.cause)")
        let claim = try daemon.takeover.view(of: id).claim
        #expect(claim.access == .unbound && claim.unownedMoments.count == 1, "\(claim.unownedMoments)")
        // What the consumer has is its to close.
        machine.host.perform { _ = $0.unplug(TestMachine.triple[0]) }
        await machine.settle(daemon, within: .seconds(5))
        #expect(machine.host.kernel[TestMachine.triple[0]] != nil)
        for file in copies { file.letGo() }
        machine.host.collectClosedFiles()
        await machine.settle(daemon, within: .seconds(5))
        #expect(machine.host.kernel[TestMachine.triple[0]] == nil)
        await machine.settle(daemon, within: .seconds(60)) { machine.host.kernel.isOwned(4) }
        #expect(machine.host.kernel.isOwned(4))
        #expect(machine.host.brokenPromises == [])
    }

    @Test("of a container does not keep a member from being taken again that its consumer does not have open")
    @LoopActor func sibling() async throws {
        let machine = try TestMachine(kernel: "6.12.95", hasIOMMUFD: false)
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        let (_, copies) = try await machine.launch(daemon, id, .container)
        let group = try #require(machine.host.files.file(copies[0]))
        for member in TestMachine.triple[0...1] {
            _ = try machine.host.perform { (kernel) throws(SimulatedKernel.Refusal) in
                try kernel.getDevice(group, member)
            }
        }
        machine.host.perform { kernel in
            for member in TestMachine.triple[1...] { _ = kernel.write(.unbind(member, from: "vfio-pci")) }
        }
        #expect(machine.host.kernel.blockedOperations.count == 1)
        await machine.settle(daemon, within: .seconds(1))
        #expect(machine.host.kernel[TestMachine.triple[2]]?.driver == "vfio-pci")
        #expect(daemon.claimEvents.filter(\.isRetaking).map(\.member) == [TestMachine.triple[2]])
        #expect(daemon.claimEvents.filter(\.isRemovalRequest).map(\.member) == [TestMachine.triple[1]])
        for file in copies { file.letGo() }
    }

    @Test("in a way that the host does not have is refused with those that it has; nothing changes")
    @LoopActor func notAvailable() async throws {
        let machine = try TestMachine(hasIOMMUFD: false)
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        for access in [Access.bound, .unbound] {
            guard
                case .failure(.accessNotAvailable([.hold, .container, .path], _)) = await machine.claim(
                    daemon, TestMachine.single, access: access)
            else {
                Issue.record("\(access) was not refused")
                continue
            }
        }
        #expect(try await machine.bindings() == before)
    }

    @Test("waits on release until the consumer has let go")
    @LoopActor func release() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        let (_, copies) = try await machine.launch(daemon, id, .bound)
        var isReleased = false
        let release = EventLoop.main.spawn {
            _ = try? await daemon.takeover.release(id)
            isReleased = true
        }
        await machine.settle(daemon, within: .seconds(600))
        #expect(!isReleased)
        #expect(try daemon.takeover.view(of: id).state == .releasing)
        #expect(try daemon.takeover.view(of: id).groups[0].operation?.action == "wait for the owner")
        for file in copies { file.letGo() }
        machine.host.collectClosedFiles()
        await machine.settle(daemon) { isReleased }
        await release.value
        #expect(try await machine.bindings() == before)
    }

    @Test("outlasts the daemon: the next one leaves the consumer alone, and holds the groups when it is gone")
    @LoopActor func restart() async throws {
        let machine = try TestMachine()
        var daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        let (_, copies) = try await machine.launch(daemon, id, .bound)
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        #expect(machine.host.kernel.isOwned(4))
        daemon = try await machine.start()
        await machine.settle(daemon, within: .seconds(120))
        #expect(try daemon.takeover.view(of: id).claim.access == .bound)
        #expect(try daemon.takeover.view(of: id).claim.unownedMoments == [])
        for file in copies { file.letGo() }
        machine.host.collectClosedFiles()
        await machine.settle(daemon, within: .seconds(60)) { daemon.takeover.claims[id]?.consumer == nil }
        await machine.settle(daemon, within: .seconds(1))
        #expect(machine.host.kernel.isOwned(4))
    }
}
