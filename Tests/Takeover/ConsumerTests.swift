// Consumers of what was handed over: whether one came, whether it is still there, and what that means for ownership. What
// is reported is what was seen.

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

@Suite("A consumer", .timeLimit(.minutes(15)))
struct ConsumerTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test(
        "that closes what it was given is noticed within two looks, and what is reported meanwhile is true",
        arguments: [Access.bound, .container])
    @LoopActor func gone(access: Access) async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        let (_, copies) = try await machine.launch(daemon, id, access)
        await machine.settle(daemon, within: .seconds(5))
        #expect(try daemon.takeover.view(of: id).groups[0].isOwned)
        for file in copies { file.letGo() }
        machine.host.collectClosedFiles()
        let end = machine.clock.now
        await machine.settle(daemon, within: .seconds(30)) { machine.host.kernel.isOwned(4) }
        #expect(machine.host.kernel.isOwned(4))
        #expect(machine.clock.now <= end + .seconds(4))
        await machine.settle(daemon, within: .milliseconds(100)) { daemon.takeover.claims[id]?.consumer == nil }
        let moments = try daemon.takeover.view(of: id).claim.unownedMoments
        // From the last look that saw it, not from the one that missed it.
        let seconds = try #require(moments.last?.seconds)
        #expect(seconds >= 1 && seconds <= 4)
    }

    @Test("has no owned group on a kernel that knows no ownership, which is said with its release")
    @LoopActor func oldKernel() async throws {
        let machine = try TestMachine(kernel: "5.15.0-91-generic", hasIOMMUFD: false)
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        await machine.settle(daemon, within: .seconds(60))
        let view = try daemon.takeover.view(of: id)
        #expect(view.state == .claimed && !view.groups[0].isOwned)
        #expect(view.groups[0].unownedReason?.hasPrefix("Linux 5.15.0-91-generic keeps no host driver out") == true)
        for member in TestMachine.triple {
            #expect(machine.host.kernel[member]?.driverOverride.value == "vfio-pci", "pins hold it")
        }
        #expect(try await machine.release(daemon, id).get().isOver)
        #expect(try await machine.bindings() == before)
    }

    @Test("of nodes in /dev is waited for as long as the operator says, and is not said to be gone when it never came")
    @LoopActor func awaited() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        daemon.takeover.timing.consumerTimeout = .after(.seconds(300))
        let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        _ = try await machine.launch(daemon, id, .path)
        await machine.settle(daemon, within: .seconds(290))
        #expect(daemon.takeover.claims[id]?.consumer != nil)
        let view = try daemon.takeover.view(of: id)
        #expect(!view.groups[0].isOwned)
        #expect(view.groups[0].unownedReason?.contains("no consumer") == true)
        await machine.settle(daemon, within: .seconds(30)) { daemon.takeover.claims[id]?.consumer == nil }
        #expect(daemon.takeover.claims[id]?.consumer == nil)
        let cause = daemon.claimEvents.last?.cause ?? ""
        #expect(cause.contains("no consumer came") && !cause.contains("is gone"))
        #expect(try daemon.takeover.view(of: id).groups[0].isOwned)
    }

    @Test("of nodes in /dev is waited for without end where that is asked for, while the owner lives")
    @LoopActor func withoutEnd() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        _ = try await machine.launch(daemon, id, .path, consumerTimeout: .never)
        await machine.settle(daemon, within: .seconds(7200))
        #expect(daemon.takeover.claims[id]?.consumer != nil)
        machine.host.endProcess(machine.client)
        await machine.settle(daemon, within: .seconds(400)) { daemon.takeover.claims[id]?.consumer == nil }
        #expect(daemon.takeover.claims[id]?.consumer == nil)
    }

    @Test(
        "that binds by itself ends the unowned moment when it binds, not when it ends",
        arguments: [Access.unbound, .path])
    @LoopActor func binds(access: Access) async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        let (handover, copies) = try await machine.launch(daemon, id, access)
        await machine.settle(daemon, within: .seconds(3))
        #expect(try !daemon.takeover.view(of: id).groups[0].isOwned)
        #expect(try daemon.takeover.view(of: id).claim.unownedMoments.last?.seconds == nil)
        let opened = try machine.host.perform { (kernel) throws(SimulatedKernel.Refusal) in
            let iommufd = try kernel.openIOMMUFD()
            var files = [iommufd]
            if access == .path {
                for case .cdev(let member) in handover.nodes.map(\.node) {
                    guard let number = kernel.vfioNumber(of: member) else { continue }
                    let cdev = try kernel.openCdev(number, as: 1000)
                    try kernel.bindIOMMUFD(cdev, iommufd)
                    files.append(cdev)
                }
            } else {
                for copy in copies {
                    guard let cdev = machine.host.files.file(copy), case .cdev? = kernel.kind(cdev) else { continue }
                    try kernel.bindIOMMUFD(cdev, iommufd)
                }
            }
            return files
        }
        await machine.settle(daemon, within: .seconds(3))
        #expect(try daemon.takeover.view(of: id).groups[0].isOwned)
        let moments = try daemon.takeover.view(of: id).claim.unownedMoments
        let seconds = try #require(moments.last?.seconds)
        #expect(seconds <= 6)
        await machine.settle(daemon, within: .seconds(60))
        // While it lives it is left alone.
        #expect(daemon.takeover.claims[id]?.consumer != nil)
        for file in copies { file.letGo() }
        machine.host.perform { kernel in for file in opened { kernel.closeWhateverHappens(file) } }
        machine.host.collectClosedFiles()
        await machine.settle(daemon, within: .seconds(10)) { machine.host.kernel.isOwned(4) }
        #expect(machine.host.kernel.isOwned(4))
    }

    @Test(
        "never meets the iommufd of the one before it: its memory is not the next one's",
        arguments: [Access.bound, .unbound])
    @LoopActor func ownIOMMUFD(access: Access) async throws {
        for leaveOut in access == .unbound ? [[], [TestMachine.triple[2]]] : [[]] {
            let machine = try TestMachine()
            let daemon = try await machine.start()
            let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
            let (first, copies) = try await machine.launch(daemon, id, access, leaveOut: leaveOut)
            let given = try #require(first.iommufd)
            let used = try #require(machine.host.files.file(given))
            await machine.settle(daemon, within: .seconds(5))
            for file in copies { file.letGo() }
            machine.host.collectClosedFiles()
            await machine.settle(daemon, within: .seconds(60)) { daemon.takeover.claims[id]?.consumer == nil }
            let (second, others) = try await machine.launch(daemon, id, access, leaveOut: leaveOut)
            let file = try #require(second.iommufd)
            let next = try #require(machine.host.files.file(file))
            #expect(next != used)
            #expect(!machine.host.kernel.isOpen(used), "what the first consumer mapped is freed")
            #expect(second.devices.map(\.device) == first.devices.map(\.device))
            for file in others { file.letGo() }
        }
    }
}
