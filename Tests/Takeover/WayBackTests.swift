// What is told of a way back that does not go smoothly, to whoever asks and to who waits; and how far it goes by itself.

import EventLoop
import Glibc
import Grouping
import Host
import Inventory
import PCI
import Registry
import SimulatedHost
import Testing
import TestSupport

@testable import Takeover

@Suite("A way back", .timeLimit(.minutes(15)))
struct WayBackTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// A claim of the single device, held.
    @LoopActor
    private func held(_ machine: TestMachine) async throws -> (MortalDaemon, String) {
        let daemon = try await machine.start()
        return (daemon, try await machine.claim(daemon, TestMachine.single, name: "vm").get().claim.claim.id)
    }

    @LoopActor
    private func failProbes(_ machine: TestMachine) {
        machine.host.perform { $0.inject(SimulatedFault(.probe, of: TestMachine.single, .fails(.eio), .always)) }
    }

    @Test("that failed has its remedy in every answer, however often it is tried")
    @LoopActor func remedy() async throws {
        let machine = try TestMachine()
        let (daemon, id) = try await held(machine)
        failProbes(machine)
        _ = try await machine.release(daemon, id).get()
        await machine.settle(daemon, within: .seconds(20))
        let group = try #require(try daemon.takeover.view(of: id).groups.first)
        let help = "see the kernel's log (dmesg) for why the probe of e1000e failed"
        #expect(group.setback?.reason == "restore of 0000:01:00.0: e1000e did not take it back")
        #expect(group.setback?.remedy == help)
        #expect(group.remedies[TestMachine.single] == help)
        #expect(daemon.state(TestMachine.single)?.reason?.hasSuffix("; \(help)") == true)
        #expect(daemon.takeover.remarks.first?.contains("(vm) is restoring: restore of 0000:01:00.0") == true)
        #expect(daemon.takeover.remarks.first?.hasSuffix(help) == true)
        #expect(try await daemon.takeover.abandon(id).first?.remedy == help)
    }

    @Test("ends its tries when a driver has refused often enough, and goes on when asked, or when the device changes")
    @LoopActor func tries() async throws {
        let machine = try TestMachine()
        let (daemon, id) = try await held(machine)
        failProbes(machine)
        _ = try await machine.release(daemon, id).get()
        await machine.settle(daemon)
        let effects = daemon.life.effects
        await machine.settle(daemon, within: .seconds(7000))
        #expect(daemon.life.effects == effects, "it is not tried for ever")
        var setback = try #require(try daemon.takeover.view(of: id).groups.first?.setback)
        #expect(setback.waitsForChange && setback.tries == daemon.takeover.timing.refusals)
        #expect(setback.reason.contains("tried again only when the device changes or when somebody asks"))
        #expect(setback.remedy.contains("then vfiogroupctl release \(id) tries again"))
        // Asked.
        #expect(try await machine.release(daemon, id).get().isOver == false)
        setback = try #require(try daemon.takeover.view(of: id).groups.first?.setback)
        #expect(setback.tries == daemon.takeover.timing.refusals + 1)
        #expect(daemon.life.effects > effects)
        // Somebody binds it by hand, and that is all there was to do.
        machine.host.perform { kernel in
            kernel.clearFaults()
            _ = kernel.write(.driversProbe(TestMachine.single))
        }
        await machine.settle(daemon, within: .seconds(60)) { daemon.takeover.claimCount == 0 }
        #expect(daemon.takeover.claimCount == 0)
        #expect(machine.host.kernel[TestMachine.single]?.driver == "e1000e")
    }

    @Test("is asked for again while it is tried, and is over when that works")
    @LoopActor func askedAgain() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        let (daemon, id) = try await held(machine)
        failProbes(machine)
        _ = try await machine.release(daemon, id).get()
        await machine.settle(daemon)
        machine.host.perform { _ = $0.clearFaults() }
        #expect(try await machine.release(daemon, id).get().isOver)
        #expect(try await machine.bindings() == before)
    }

    @Test("goes on for ever where no driver refused: a full disk has room again some day")
    @LoopActor func fullDisk() async throws {
        let machine = try TestMachine()
        let (daemon, id) = try await held(machine)
        machine.host.perform {
            $0.inject(SimulatedFault(.writeDriverOverride, of: TestMachine.single, .fails(.eio), .always))
        }
        _ = try await machine.release(daemon, id).get()
        await machine.settle(daemon)
        machine.host.perform { _ = $0.clearFaults() }
        await machine.settle(daemon, within: .seconds(120)) { daemon.takeover.claimCount == 0 }
        #expect(daemon.takeover.claimCount == 0)
    }

    @Test("loads the module of the driver that went away, by its name or through udev", arguments: [true, false])
    @LoopActor func loads(isRecorded: Bool) async throws {
        let machine = try TestMachine()
        if !isRecorded { machine.host.perform { $0.hideModule(of: "e1000e") } }
        let before = try await machine.bindings()
        var daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.single).get().claim.claim.id
        // What is on record is what the next daemon knows.
        daemon.kill()
        daemon = try await machine.start()
        let member = try #require(try daemon.takeover.view(of: id).claim.groups.first?.members.first)
        #expect(member.before.module == (isRecorded ? "e1000e" : nil))
        machine.host.perform { $0.unloadModule("e1000e") }
        #expect(try await machine.release(daemon, id).get().isOver)
        #expect(machine.host.kernel.isLoaded("e1000e"))
        #expect(try await machine.bindings() == before)
    }

    @Test("says which module does not come, and takes the device home when it does")
    @LoopActor func missingModule() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        let (daemon, id) = try await held(machine)
        machine.host.perform { kernel in
            kernel.unloadModule("e1000e")
            kernel.setInstalled(false, moduleOf: "e1000e")
        }
        #expect(try await machine.release(daemon, id).get().isOver == false)
        let setback = try #require(try daemon.takeover.view(of: id).groups.first?.setback)
        #expect(
            setback.reason.contains("e1000e, which had it, is not in the kernel, and loading its module did not help"))
        #expect(setback.remedy.contains("modprobe e1000e"))
        await machine.settle(daemon)
        #expect(try daemon.takeover.view(of: id).groups.first?.setback?.waitsForChange == true)
        try machine.host.perform { (kernel) throws(KernelErrno) in
            kernel.setInstalled(true, moduleOf: "e1000e")
            try kernel.loadModule("e1000e")
        }
        await machine.settle(daemon, within: .seconds(60)) { daemon.takeover.claimCount == 0 }
        #expect(try await machine.bindings() == before)
    }

    @Test("of a device that came while its group was claimed has udev load the driver that nobody has loaded yet")
    @LoopActor func newcomer() async throws {
        let machine = try TestMachine()
        let (daemon, id) = try await held(machine)
        let new = pciDevice("0000:01:00.1", parent: "0000:00:01.0", driver: "xhci_hcd")
        try machine.host.perform { (kernel) throws(KernelErrno) in
            kernel.register(KernelDriver("xhci_hcd", matches: [.address(new.address)], isLoaded: false))
            try kernel.plug(new, into: .group(2))
        }
        await machine.settle(daemon, within: .seconds(1))
        #expect(machine.host.kernel[new.address]?.driver == "vfio-pci")
        #expect(!machine.host.kernel.isLoaded("xhci_hcd"))
        #expect(try await machine.release(daemon, id).get().isOver)
        #expect(machine.host.kernel[new.address]?.driver == "xhci_hcd")
        #expect(machine.host.kernel[new.address]?.driverOverride == .absent)
    }

    @Test("of a device that its driver does not let go of names driver, limit, and the call that is waited for")
    @LoopActor func slowUnbind() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        machine.host.perform { $0.inject(SimulatedFault(.unbind, of: TestMachine.single, .neverReturns)) }
        guard case .failure(.failed(let failure, let unrestored)) = await machine.claim(daemon, TestMachine.single)
        else {
            Issue.record("it did not fail")
            return
        }
        #expect(
            failure.detail.hasPrefix(
                "e1000e has not let go of it for 30 s; taking groups may take no longer than 30 s (Takeover"))
        #expect(failure.remedy.hasPrefix("if e1000e is only slow, raise TakeoverTimeoutSec= in vfiogroupd.conf; else "))
        #expect(unrestored.first?.reason.hasPrefix("e1000e does not let go of 0000:01:00.0") == true, "\(unrestored)")
        let operation = try #require(daemon.takeover.views.first?.groups.first?.operation)
        #expect(operation.action == "wait for the unbind" && operation.member == TestMachine.single)
        #expect(operation.waitsFor?.contains("e1000e does not let go of 0000:01:00.0") == true)
        #expect(operation.remedy?.contains("/stack") == true)
        // The same of the next daemon, which knows the journal alone.
        daemon.kill()
        let next = try await machine.start()
        await machine.settle(next, within: .seconds(10))
        let same = try #require(next.takeover.views.first?.groups.first?.operation)
        #expect(same.action == operation.action && same.waitsFor == operation.waitsFor)
        machine.host.perform { _ = $0.releaseAll() }
        await machine.settle(next, within: .seconds(60)) { next.takeover.claimCount == 0 }
        #expect(machine.host.kernel[TestMachine.single]?.driver == "e1000e")
    }

    @Test("tells who waits for it, when it is blocked and every ten seconds")
    @LoopActor func heartbeat() async throws {
        let machine = try TestMachine()
        let (daemon, id) = try await held(machine)
        let (_, copies) = try await machine.launch(daemon, id, .bound)
        var told: [(seconds: Double, waitsFor: String?)] = []
        let began = machine.clock.now
        let takeover = daemon.takeover
        let release = EventLoop.main.spawn {
            _ = try? await takeover.release(id) { progress in
                told.append((began.duration(until: machine.clock.now) / .seconds(1), progress.operation.waitsFor))
            }
        }
        await machine.settle(daemon, within: .seconds(35))
        let waits = told.filter { $0.waitsFor?.contains("0000:01:00.0 is open in a process") == true }
        #expect(waits.first.map { $0.seconds < 2 } == true)
        #expect(waits.count >= 4 && waits.count <= 5, "\(waits)")
        #expect(zip(waits, waits.dropFirst()).allSatisfy { $1.seconds - $0.seconds <= 11 })
        // Whom it was given to lives, and is named.
        #expect(waits.last?.waitsFor?.contains("it was given to process \(machine.client.pid)") == true)
        for file in copies { file.letGo() }
        machine.host.collectClosedFiles()
        await machine.settle(daemon, within: .seconds(60)) { daemon.takeover.claimCount == 0 }
        await release.value
    }

    @Test("that is stuck in the kernel tells the one who asked for it")
    @LoopActor func blocked() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        machine.host.perform { $0.inject(SimulatedFault(.unbind, of: TestMachine.single, .neverReturns)) }
        var told: [GroupOperation] = []
        let owner = machine.owner
        let takeover = daemon.takeover
        let claim = EventLoop.main.spawn {
            _ = try? await takeover.claim(ClaimRequest([.device(TestMachine.single)], lifetime: .manual), for: owner) {
                told.append($0.operation)
            }
        }
        await machine.settle(daemon, within: .seconds(25))
        let blocked = told.filter(\.isBlocked)
        #expect(blocked.count == 3, "at 2, 12 and 22 s")
        #expect(blocked.allSatisfy { $0.waitsFor?.contains("TakeoverTimeoutSec") == true && $0.action == "unbind" })
        machine.host.perform { _ = $0.releaseAll() }
        await machine.settle(daemon, within: .seconds(60))
        await claim.value
    }

    @Test("of another claim is waited for aloud")
    @LoopActor func otherClaim() async throws {
        let machine = try TestMachine()
        let (daemon, id) = try await held(machine)
        var told: [GroupOperation] = []
        let owner = machine.owner
        let takeover = daemon.takeover
        let claim = EventLoop.main.spawn {
            _ = try? await takeover.claim(
                ClaimRequest([.device(TestMachine.single)], lifetime: .manual, wait: .seconds(60)), for: owner
            ) { told.append($0.operation) }
        }
        await machine.settle(daemon, within: .seconds(25))
        #expect(told.count == 3, "at 0, 10 and 20 s")
        #expect(told.allSatisfy { $0.action == "wait for the group" })
        #expect(told.allSatisfy { $0.remedy == "vfiogroupctl release \(id) takes it back" })
        #expect(told.first?.waitsFor?.hasPrefix("\(id) \"vm\" of uid 1000, process ") == true)
        _ = await machine.release(daemon, id)
        await machine.settle(daemon, within: .seconds(60))
        await claim.value
    }

    @Test("that is abandoned leaves overrides behind, names them, and how they go")
    @LoopActor func abandoned() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.dozen[4]).get().claim.claim.id
        for member in [TestMachine.dozen[2], TestMachine.dozen[4]] {
            machine.host.perform { $0.inject(SimulatedFault(.probe, of: member, .fails(.eio), .always)) }
        }
        machine.host.perform { $0.inject(SimulatedFault(.unbind, of: TestMachine.dozen[10], .fails(.ebusy), .always)) }
        _ = try await machine.release(daemon, id).get()
        let left = try await daemon.takeover.abandon(id)
        #expect(left.map(\.device) == [TestMachine.dozen[2], TestMachine.dozen[4], TestMachine.dozen[10]])
        #expect(left.map(\.driverOverride) == ["igb", nil, "nvme"])
        #expect(
            left.map(\.commands) == [
                [
                    "echo > /sys/bus/pci/devices/0000:04:00.0/driver_override",
                    "echo 1 > /sys/bus/pci/devices/0000:04:00.0/d3cold_allowed",
                    "echo 0000:04:00.0 > /sys/bus/pci/drivers_probe",
                ],
                [
                    "echo 1 > /sys/bus/pci/devices/0000:04:00.2/d3cold_allowed",
                    "echo 0000:04:00.2 > /sys/bus/pci/drivers_probe",
                ],
                [
                    "echo > /sys/bus/pci/devices/0000:04:01.0/driver_override",
                    "echo 1 > /sys/bus/pci/devices/0000:04:01.0/d3cold_allowed",
                    "echo 0000:04:01.0 > /sys/bus/pci/devices/0000:04:01.0/driver/unbind",
                    "echo 0000:04:01.0 > /sys/bus/pci/drivers_probe",
                ],
            ])
    }

    @Test("names a process by its number, name and unit, and the command that ends it and nothing else")
    @LoopActor func names() {
        var wait = OthersWait(
            member: TestMachine.single, process: NamedProcess(pid: 4711, command: "qemu", unit: "vm.service"))
        #expect(wait.sentence == "process 4711 (qemu) of vm.service has 0000:01:00.0 open")
        #expect(wait.remedy == "systemctl stop vm.service ends that")
        for unit in ["session-3.scope", "user@1000.service", nil] {
            wait.process?.unit = unit
            #expect(wait.remedy == "kill 4711 ends that")
        }
    }

    @Test("of a device that is busy names the nodes of the interface that it is taken by", arguments: [true, false])
    @LoopActor func busy(hasIOMMUFD: Bool) async throws {
        let machine = try TestMachine(hasIOMMUFD: hasIOMMUFD)
        let daemon = try await machine.start()
        machine.host.perform {
            $0.inject(
                SimulatedFault(hasIOMMUFD ? .bindIOMMUFD : .openGroup, of: TestMachine.single, .fails(.ebusy), .always))
        }
        guard case .failure(.failed(let failure, _)) = await machine.claim(daemon, TestMachine.single) else {
            Issue.record("it did not fail")
            return
        }
        #expect(failure.remedy.contains(hasIOMMUFD ? "fuser -v /dev/vfio/devices/* " : "fuser -v /dev/vfio/2 "))
    }
}
