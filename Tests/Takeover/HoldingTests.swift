// What is done behind the daemon's back to groups that it holds.

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

@Suite("A held group", .timeLimit(.minutes(15)))
struct HoldingTests {
    init() throws { try EventLoop.main.runInBackground() }

    @LoopActor
    private func held(
        _ members: DeviceAddress..., on machine: TestMachine, looksEvery pause: Duration? = nil
    ) async throws -> (MortalDaemon, String) {
        let daemon = try await machine.start()
        if let pause { daemon.takeover.timing.memberLook = pause }
        let selectors = members.map { GroupSelector.device($0) }
        let owner = machine.owner
        let granted = await machine.running(daemon) {
            try? await daemon.takeover.claim(ClaimRequest(selectors, lifetime: .manual), for: owner)
        }
        await machine.settle(daemon, within: .seconds(1))
        return (daemon, try #require(granted).claim.claim.id)
    }

    @Test("takes in a device that is plugged into it: pinned, on vfio, and the kernel's to choose for afterwards")
    @LoopActor func hotplug() async throws {
        let machine = try TestMachine()
        let (daemon, claim) = try await held(TestMachine.triple[0], on: machine)
        let new = pciDevice("0000:02:00.3", parent: "0000:00:02.0", driver: "xhci_hcd")
        try machine.host.perform { (kernel) throws(KernelErrno) in try kernel.plug(new, into: .group(4)) }
        await machine.settle(daemon, within: .seconds(1))
        #expect(machine.host.kernel[new.address]?.driver == "vfio-pci")
        #expect(daemon.claimEvents.contains { $0.isJoining && $0.member == new.address && $0.claim == claim })
        #expect(try daemon.takeover.view(of: claim).state == .claimed)
        _ = try await machine.release(daemon, claim).get()
        #expect(machine.host.kernel[new.address]?.driver == "xhci_hcd")
        #expect(machine.host.kernel[new.address]?.driverOverride == .absent)
    }

    @Test("of one member is not called owned when a host driver took that: an open group does not keep it from leaving")
    @LoopActor func lost() async throws {
        let machine = try TestMachine(hasIOMMUFD: false)
        let (daemon, claim) = try await held(TestMachine.single, on: machine)
        #expect(try daemon.takeover.view(of: claim).groups[0].isOwned)
        machine.host.perform { kernel in
            _ = kernel.write(.driverOverride(TestMachine.single, "\n"))
            _ = kernel.write(.unbind(TestMachine.single, from: "vfio-pci"))
            #expect(kernel.write(.driversProbe(TestMachine.single)) == .done)
        }
        #expect(machine.host.kernel[TestMachine.single]?.driver == "e1000e")
        await machine.settle(daemon, within: .seconds(1))
        var view = try daemon.takeover.view(of: claim)
        #expect(!view.groups[0].isOwned && view.state.name == "degraded")
        #expect(view.claim.unownedMoments.count == 1 && view.claim.unownedMoments[0].seconds == nil)
        // When the host driver has gone, it is taken and owned again.
        machine.host.perform { _ = $0.write(.unbind(TestMachine.single, from: "e1000e")) }
        await machine.settle(daemon, within: .seconds(1))
        view = try daemon.takeover.view(of: claim)
        #expect(view.groups[0].isOwned && view.state == .claimed)
        #expect(view.claim.unownedMoments.count == 1 && view.claim.unownedMoments[0].seconds != nil)
    }

    @Test("keeps host drivers out: the kernel refuses them, and a pin that somebody cleared is set again")
    @LoopActor func foreignBind() async throws {
        let machine = try TestMachine()
        let (daemon, claim) = try await held(TestMachine.triple[0], on: machine)
        let victim = TestMachine.triple[2]
        machine.host.perform { kernel in
            kernel.register(KernelDriver("i801_smbus", matches: [.address(victim)]))
            _ = kernel.write(.driverOverride(victim, "\n"))
            _ = kernel.write(.unbind(victim, from: "vfio-pci"))
            #expect(kernel.write(.driversProbe(victim)) == .failed(.einval))
        }
        await machine.settle(daemon, within: .seconds(1))
        #expect(machine.host.kernel[victim]?.driver == "vfio-pci")
        #expect(machine.host.kernel[victim]?.driverOverride == .present("vfio-pci"))
        #expect(daemon.claimEvents.contains { $0.isRetaking && $0.member == victim })
        #expect(try daemon.takeover.view(of: claim).state == .claimed)
    }

    @Test("is degraded when a member is on a host driver, says so, and is whole again when that lets go")
    @LoopActor func degraded() async throws {
        let machine = try TestMachine()
        let (daemon, claim) = try await held(TestMachine.dozen[2], on: machine)
        let bridge = TestMachine.dozen[1]
        // Nothing but a claim's pin keeps shpchp off a bridge; whoever clears it can bind it once the group is not owned.
        machine.host.perform { kernel in
            kernel.loseOwnership(of: 5)
            _ = kernel.write(.driverOverride(bridge, "\n"))
            #expect(kernel.write(.bind(bridge, to: "shpchp")) == .done)
        }
        await machine.settle(daemon, within: .seconds(1))
        #expect(daemon.state(bridge)?.name == "degraded")
        #expect(daemon.events.contains { $0.kind == .degraded && $0.claim == claim })
        machine.host.perform { kernel in _ = kernel.write(.unbind(bridge, from: "shpchp")) }
        await machine.settle(daemon, within: .seconds(1))
        #expect(daemon.state(bridge) == .claimed)
    }

    @Test("asks its owner to let go of a device that somebody unbinds or removes")
    @LoopActor func removal() async throws {
        let machine = try TestMachine()
        let (daemon, claim) = try await held(TestMachine.single, on: machine)
        machine.host.perform { kernel in _ = kernel.write(.remove(TestMachine.single)) }
        await machine.settle(daemon, within: .seconds(1))
        #expect(daemon.claimEvents.contains { $0.isRemovalRequest && $0.member == TestMachine.single })
        #expect(daemon.claimEvents.count(where: \.isRemovalRequest) == 1)
        #expect(try daemon.takeover.view(of: claim).state.name == "degraded")
        // The release lets go; what is gone has nothing to be restored.
        #expect(try await machine.release(daemon, claim).get().isOver)
        await machine.settle(daemon, within: .seconds(1))
        #expect(machine.host.kernel[TestMachine.single] == nil)
    }

    @Test("goes back while somebody unbinds a device of it, who holds the lock until the daemon lets go")
    @LoopActor func foreignUnbind() async throws {
        let machine = try TestMachine(kernel: "6.1.0-56-amd64")
        let (daemon, claim) = try await held(TestMachine.single, on: machine)
        machine.host.perform { kernel in _ = kernel.write(.unbind(TestMachine.single, from: "vfio-pci")) }
        await machine.settle(daemon, within: .seconds(1))
        _ = try await machine.release(daemon, claim).get()
        await machine.settle(daemon)
        #expect(daemon.takeover.views.isEmpty)
        #expect(machine.host.kernel[TestMachine.single]?.driver == "e1000e")
    }

    @Test("is told of an unbind that waits for something else than an open device, by the lock that it holds on 6.1")
    @LoopActor func lockedUnbind() async throws {
        let machine = try TestMachine(kernel: "6.1.0-56-amd64", hasIOMMUFD: false)
        let (daemon, claim) = try await held(TestMachine.single, on: machine, looksEvery: .seconds(2))
        machine.host.perform { kernel in
            kernel.inject(SimulatedFault(.unbind, of: TestMachine.single, .neverReturns))
            _ = kernel.write(.unbind(TestMachine.single, from: "vfio-pci"))
        }
        await machine.settle(daemon, within: .seconds(60))
        #expect(daemon.claimEvents.count { $0.isRemovalRequest && $0.member == TestMachine.single } == 1)
        #expect(try daemon.takeover.view(of: claim).state.name == "degraded")
        machine.host.perform { _ = $0.releaseAll() }
        await machine.settle(daemon, within: .seconds(5))
        #expect(machine.host.kernel[TestMachine.single]?.driver == "vfio-pci")
        #expect(try daemon.takeover.view(of: claim).state == .claimed)
    }

    @Test("that lost a device to remove and rescan takes the device again where it is driverless")
    @LoopActor func rescan() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        let (daemon, claim) = try await held(TestMachine.triple[0], on: machine)
        machine.host.perform { kernel in
            _ = kernel.write(.remove(TestMachine.triple[1]))
            _ = kernel.write(.rescan)
        }
        await machine.settle(daemon, within: .seconds(1))
        // The group stayed owned by the first member's cdev, so that no host driver could take it.
        #expect(machine.host.kernel[TestMachine.triple[1]]?.driver == "vfio-pci")
        #expect(try daemon.takeover.view(of: claim).state == .claimed)
        // And again: it is not as if somebody unbound it all the time.
        machine.host.perform { _ = $0.write(.remove(TestMachine.triple[1])) }
        await machine.settle(daemon, within: .seconds(1))
        machine.host.perform { _ = $0.write(.rescan) }
        await machine.settle(daemon, within: .seconds(1))
        #expect(machine.host.kernel[TestMachine.triple[1]]?.driver == "vfio-pci")
        #expect(try daemon.takeover.view(of: claim).state == .claimed)
        _ = try await machine.release(daemon, claim).get()
        #expect(try await machine.bindings() == before)
    }

    @Test("tries again to take a member whose pin cannot be set, with longer and longer pauses, and says it once")
    @LoopActor func pinFails() async throws {
        let machine = try TestMachine()
        let (daemon, claim) = try await held(TestMachine.triple[0], on: machine)
        let victim = TestMachine.triple[1]
        machine.host.perform { kernel in
            _ = kernel.write(.driverOverride(victim, "\n"))
            kernel.inject(SimulatedFault(.writeDriverOverride, of: victim, .fails(.eio), .always))
            _ = kernel.write(.unbind(victim, from: "vfio-pci"))
        }
        await machine.settle(daemon, within: .milliseconds(500))
        let problem = { try daemon.takeover.view(of: claim).groups[0].problems[victim] }
        #expect(try problem()?.contains("EIO") == true)
        let (told, effects) = (daemon.events.count, daemon.life.effects)
        await machine.settle(daemon, within: .seconds(600))
        // Fourteen tries, after 1, 3, 7, 15, 31, 63, 123 ... seconds.
        #expect((40...70).contains(daemon.life.effects - effects), "\(daemon.life.effects - effects) effects")
        #expect(daemon.events.count == told)
        #expect(try problem()?.contains("EIO") == true)

        machine.host.perform { _ = $0.clearFaults() }
        await machine.settle(daemon, within: .seconds(60))
        #expect(machine.host.kernel[victim]?.driver == "vfio-pci")
        #expect(try daemon.takeover.view(of: claim).state == .claimed)
        #expect(daemon.claimEvents.count(where: \.isRetaking) == 1)
        let quiet = daemon.life.effects
        await machine.settle(daemon, within: .seconds(600))
        #expect(daemon.life.effects == quiet)
    }

    @Test("sets a pin again that it could not set at first, and is degraded until it has")
    @LoopActor func overrideFails() async throws {
        let machine = try TestMachine()
        let (daemon, claim) = try await held(TestMachine.triple[0], on: machine)
        let victim = TestMachine.triple[1]
        machine.host.perform { kernel in
            _ = kernel.write(.driverOverride(victim, "\n"))
            kernel.inject(SimulatedFault(.writeDriverOverride, of: victim, .fails(.eio), .always))
        }
        // Nothing tells of a write to driver_override: it is seen at the next change of anything, and stays seen.
        for isBound in [true, false] {
            machine.host.perform { kernel in
                _ = kernel.write(
                    isBound ? .unbind(TestMachine.single, from: "e1000e") : .driversProbe(TestMachine.single))
            }
            await machine.settle(daemon, within: .milliseconds(500))
            #expect(daemon.state(victim)?.name == "degraded")
        }
        machine.host.perform { _ = $0.clearFaults() }
        await machine.settle(daemon, within: .seconds(60))
        #expect(machine.host.kernel[victim]?.driverOverride == .present("vfio-pci"))
        #expect(try daemon.takeover.view(of: claim).state == .claimed)
    }

    @Test("makes no second call about a member while a first one has not returned")
    @LoopActor func retakeBlocks() async throws {
        let machine = try TestMachine()
        let (daemon, claim) = try await held(TestMachine.triple[0], on: machine)
        let victim = TestMachine.triple[1]
        machine.host.perform { kernel in
            kernel.inject(SimulatedFault(.driversProbe, of: victim, .neverReturns))
            _ = kernel.write(.unbind(victim, from: "vfio-pci"))
        }
        await machine.settle(daemon, within: .seconds(600))
        #expect(machine.host.kernel.blockedOperations.count == 1)
        #expect(daemon.state(victim)?.name == "degraded")
        machine.host.perform { _ = $0.releaseAll() }
        await machine.settle(daemon, within: .seconds(60))
        #expect(try daemon.takeover.view(of: claim).state == .claimed)
    }

    @Test("leaves a device alone that is another one at the same address")
    @LoopActor func replaced() async throws {
        let machine = try TestMachine()
        let (daemon, claim) = try await held(TestMachine.triple[0], on: machine)
        var other = pciDevice("0000:02:00.1", parent: "0000:00:02.0", classCode: 0x010802, driver: "nvme")
        other.driver = "nvme"
        _ = machine.host.perform { $0.unplug(TestMachine.triple[1]) }
        try machine.host.perform { (kernel) throws(KernelErrno) in try kernel.plug(other, into: .group(4)) }
        await machine.settle(daemon, within: .seconds(1))
        #expect(
            try daemon.takeover.view(of: claim).groups.first?.problems[other.address]
                == "another device has its address now")
        _ = try await machine.release(daemon, claim).get()
        #expect(machine.host.kernel[other.address]?.driverOverride == .absent)
    }

    @Test("is quarantined when a reset was tried and fails, and back with its drivers all the same")
    @LoopActor func quarantine() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        let (daemon, claim) = try await held(TestMachine.triple[0], on: machine)
        machine.host.perform { kernel in
            kernel.setReset(.fails(.etimedout), of: TestMachine.triple[0])
            kernel.setReset(.absent, of: TestMachine.triple[1])
        }
        _ = try await machine.release(daemon, claim).get()
        #expect(try await machine.bindings().mapValues(\.driver) == before.mapValues(\.driver))
        #expect(daemon.state(TestMachine.triple[0])?.name == "quarantined")
        guard case .failure(.wrongState(_, "quarantined", _)) = await machine.claim(daemon, TestMachine.triple[0])
        else {
            Issue.record("it could be claimed")
            return
        }
        // It outlasts the daemon, and is lifted by name.
        daemon.kill()
        let next = try await machine.start()
        #expect(next.state(TestMachine.triple[0])?.name == "quarantined")
        try next.takeover.unquarantine("pci0000-00_02.0_00.0")
        #expect(next.state(TestMachine.triple[0]) == .available)
    }

    @Test("without any way to reset a member says so, and is not quarantined")
    @LoopActor func notReset() async throws {
        let machine = try TestMachine()
        let (daemon, claim) = try await held(TestMachine.single, on: machine)
        machine.host.perform { kernel in kernel.setReset(.absent, of: TestMachine.single) }
        // Its host driver does not come back at first, so that the result can be looked at.
        machine.host.perform { $0.inject(SimulatedFault(.probe, of: TestMachine.single, .fails(.eio))) }
        let view = try await machine.release(daemon, claim).get()
        #expect(view.groups[0].record.members[0].reset == .notReset(reason: "the kernel knows no way to reset it"))
        #expect(view.state.name == "restoring")
        #expect(view.groups[0].problems[TestMachine.single] == "restore of 0000:01:00.0: e1000e did not take it back")
        await machine.settle(daemon) { daemon.takeover.claimCount == 0 }
        #expect(daemon.state(TestMachine.single) == .available)
    }

    @Test("that cannot be restored is retried until somebody abandons it by name")
    @LoopActor func abandon() async throws {
        let machine = try TestMachine()
        let (daemon, claim) = try await held(TestMachine.single, on: machine)
        await #expect(throws: TakeoverError.self) { try await daemon.takeover.abandon(claim) }
        machine.host.perform { $0.inject(SimulatedFault(.probe, of: TestMachine.single, .fails(.eio), .always)) }
        #expect(try await machine.release(daemon, claim).get().isOver == false)
        await machine.settle(daemon, within: .seconds(600))
        #expect(try daemon.takeover.view(of: claim).state.name == "restoring")
        #expect(try await daemon.takeover.abandon(claim).map(\.device) == [TestMachine.single])
        #expect(daemon.takeover.claimCount == 0)
        #expect(try JournalFolder(path: machine.journal, bootID: "boot").load().claims == [])
    }

    @Test("that is abandoned lets go of all that the daemon has open of it, though a close does not return")
    @LoopActor func abandonOpen() async throws {
        let machine = try TestMachine()
        let (daemon, claim) = try await held(TestMachine.single, on: machine)
        machine.host.perform { $0.inject(SimulatedFault(.reset, of: TestMachine.single, .fails(.eio), .always)) }
        // The store does not answer, so that nothing can be closed in order.
        daemon.store.isSilent = true
        #expect(try await machine.release(daemon, claim).get().isOver == false)
        machine.host.perform { $0.inject(SimulatedFault(.close, of: TestMachine.single, .neverReturns)) }
        #expect(try await daemon.takeover.abandon(claim).map(\.device) == [TestMachine.single])
        #expect(machine.host.kernel.blockedOperations.count == 1, "a worker sits in the close, and not the daemon")
        machine.host.perform { _ = $0.releaseAll() }
        daemon.store.isSilent = false
        await machine.settle(daemon, within: .seconds(60))
    }

    @Test("and used by nobody can leave at once: no hotplug of the host waits for the daemon")
    @LoopActor func leavesUnused() async throws {
        let machine = try TestMachine(kernel: "6.12.95")
        let (daemon, claim) = try await held(TestMachine.triple[0], on: machine)
        machine.host.perform { kernel in _ = kernel.unplug(TestMachine.triple[2]) }
        await machine.settle(daemon, within: .seconds(5))
        #expect(machine.host.kernel.blockedOperations.isEmpty)
        #expect(machine.host.kernel[TestMachine.triple[2]] == nil)
        // Another one's hotplug goes on.
        machine.host.perform { kernel in _ = kernel.write(.remove(TestMachine.single)) }
        #expect(machine.host.kernel[TestMachine.single] == nil)
        let problem = try daemon.takeover.view(of: claim).groups[0].problems[TestMachine.triple[2]]
        #expect(problem == "the device left the host; vfiogroupctl release \(claim) ends its claim")
        #expect(machine.host.kernel.isOwned(4))
        #expect(machine.host.brokenPromises == [])
    }

    @Test("is taken again when it was only unbound, at most once a minute, and says who might help")
    @LoopActor func unboundAgain() async throws {
        let machine = try TestMachine(kernel: "6.12.95")
        let (daemon, claim) = try await held(TestMachine.single, on: machine)
        func unbind() { machine.host.perform { _ = $0.write(.unbind(TestMachine.single, from: "vfio-pci")) } }
        unbind()
        await machine.settle(daemon, within: .seconds(5)) {
            machine.host.kernel[TestMachine.single]?.driver == "vfio-pci" && machine.host.kernel.isOwned(2)
        }
        #expect(machine.host.kernel[TestMachine.single]?.driver == "vfio-pci")
        unbind()
        await machine.settle(daemon, within: .seconds(20))
        #expect(machine.host.kernel[TestMachine.single]?.driver == nil)
        #expect(machine.host.kernel[TestMachine.single]?.driverOverride.value == "vfio-pci")
        let problem = try daemon.takeover.view(of: claim).groups[0].problems[TestMachine.single] ?? ""
        #expect(problem.contains("unbound it again"), "\(problem)")
        await machine.settle(daemon, within: .seconds(120)) { machine.host.kernel.isOwned(2) }
        #expect(machine.host.kernel[TestMachine.single]?.driver == "vfio-pci")
        #expect(machine.host.kernel.isOwned(2))
    }
}

extension SimulatedKernel {
    /// As if the descriptors of the daemon had been lost, which a real kernel does only to a killed one.
    mutating func loseOwnership(of number: Int) {
        for member in members(ofGroup: number) { for file in files(of: member) { closeWhateverHappens(file) } }
    }
}
