// Members whose driver other functions depend on: a physical function with virtual ones, and an Intel VMD with its domain.

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

extension TestMachine {
    static let physical = device("0000:05:00.0")
    static let virtual = (1...4).map { device("0000:05:00.\($0)") }
    static let vmd = device("0000:00:0e.0")
    static let domain = ["10000:e0:06.0", "10000:e1:00.0"].map(device)

    /// A physical function with four virtual ones, in groups of their own or in its group, and a VMD with its domain in
    /// one group.
    convenience init(sharedGroup: Bool, kernel release: String? = nil, hasIOMMUFD: Bool = true) throws {
        var physical = pciDevice("0000:05:00.0", parent: "0000:00:06.0", group: 10, driver: "ice")
        physical.makePhysical(count: 4)
        var devices = [pciDevice("0000:00:06.0", group: 9, isBridge: true, driver: "pcieport"), physical]
        for number in 0..<4 {
            devices.append(
                pciDevice(
                    "0000:05:00.\(number + 1)", parent: "0000:00:06.0", group: sharedGroup ? 10 : 11 + number,
                    driver: "iavf", virtual: ("0000:05:00.0", number)))
        }
        devices += [
            pciDevice("0000:00:0e.0", group: 20, driver: "vmd"),
            pciDevice("10000:e0:06.0", group: 20, isBridge: true, driver: "pcieport"),
            pciDevice("10000:e1:00.0", parent: "10000:e0:06.0", group: 20, driver: "nvme"),
        ]
        try self.init(
            kernel: release, hasIOMMUFD: hasIOMMUFD, more: devices,
            behind: [HostBridgeID(domain: 0x10000, bus: 0): PCIAddress(domain: 0, bus: 0, device: 14, function: 0)])
    }
}

extension Device {
    /// Makes it a physical function with virtual ones at the addresses after its own.
    mutating func makePhysical(count: Int) {
        guard var function = pci, let address = address.pci else { return }
        function.capabilities.sriov = .present(
            SingleRootIOV(
                isEnabled: true, ariCapableHierarchy: true, totalVFs: 8, numberOfVFs: UInt16(count), firstVFOffset: 1,
                vfStride: 1, vfDeviceID: 0x10d3))
        function.virtualFunctions = (1...count).compactMap {
            PCIAddress(domain: address.domain, bus: address.bus, device: 0, function: UInt8($0))
        }
        kind = .pci(function)
    }
}

@Suite("What depends on a member's driver", .timeLimit(.minutes(15)))
struct DependencyTests {
    init() throws { try EventLoop.main.runInBackground() }

    @LoopActor private var physical: DeviceAddress { TestMachine.physical }
    @LoopActor private var virtual: [DeviceAddress] { TestMachine.virtual }

    @Test(
        "is nobody's to force while another claim has it; the refusal names the claim, and a claim may wait for its end"
    )
    @LoopActor func held() async throws {
        let machine = try TestMachine(sharedGroup: false)
        let daemon = try await machine.start()
        let holder = try await machine.claim(daemon, virtual[1], name: "vm1").get().claim.claim
        let effects = daemon.life.effects
        let refused = await machine.claim(daemon, physical, force: [physical])
        guard case .failure(.relatedGroupBusy(let group, "claimed", let claim, let reason)) = refused else {
            Issue.record("\(refused)")
            return
        }
        #expect(claim == holder && group == daemon.registry.snapshot.group(of: virtual[1])?.id)
        #expect(reason == "\(virtual[1]) goes when \(physical) leaves its driver")
        #expect(daemon.life.effects == effects)
        // Attaching the physical function to another claim takes it no less.
        let other = try await machine.claim(daemon, TestMachine.single).get().claim.claim.id
        let device = physical
        let attached = await machine.running(daemon) { () -> TakeoverError? in
            do throws(TakeoverError) {
                _ = try await daemon.takeover.attach([.device(device)], to: other, force: [device])
                return nil
            } catch { return error }
        }
        guard case .relatedGroupBusy? = attached else {
            Issue.record("\(String(describing: attached))")
            return
        }
        // A claim that waits has it when the other ends.
        let owner = machine.owner
        var waited: Takeover.Granted?
        let waiting = EventLoop.main.spawn {
            waited = try? await daemon.takeover.claim(
                ClaimRequest([.device(device)], lifetime: .manual, force: [device], wait: .seconds(3000)), for: owner)
        }
        await machine.settle(daemon, within: .seconds(10))
        #expect(waited == nil && machine.host.kernel[virtual[1]]?.driver == "vfio-pci")
        _ = try await machine.release(daemon, "vm1").get()
        await machine.settle(daemon, within: .seconds(100)) { waited != nil }
        await waiting.value
        #expect(waited != nil && machine.host.kernel[virtual[1]] == nil)
    }

    @Test("a virtual function of a claimed physical one cannot be forced either, nor found by its IDs")
    @LoopActor func reverse() async throws {
        let machine = try TestMachine(sharedGroup: false)
        let daemon = try await machine.start()
        _ = try await machine.claim(daemon, physical, name: "pf", force: [physical]).get()
        // Whoever has it makes virtual functions, as vfio-pci's enable_sriov lets it.
        machine.host.perform { kernel in
            kernel.createVFs(of: PCIAddress(domain: 0, bus: 5, device: 0, function: 0), 1)
            kernel.recordVFs(of: PCIAddress(domain: 0, bus: 5, device: 0, function: 0))
        }
        await machine.settle(daemon, within: .seconds(1))
        let refused = await machine.claim(daemon, virtual[0], force: [virtual[0]])
        guard case .failure(.relatedGroupBusy(let group, _, let claim, _)) = refused else {
            Issue.record("\(refused)")
            return
        }
        #expect(claim.name == "pf" && group == daemon.registry.snapshot.group(of: physical)?.id)
        // What a user has open of it is not taken from under him when the physical function goes back.
        let file = try machine.host.perform { (kernel) throws(SimulatedKernel.Refusal) in
            _ = kernel.write(.driverOverride(virtual[0], "vfio-pci\n"))
            _ = kernel.write(.unbind(virtual[0], from: "iavf"))
            _ = kernel.write(.driversProbe(virtual[0]))
            kernel.settle()
            return try kernel.openCdev(kernel.vfioNumber(of: virtual[0]) ?? -1)
        }
        let takeover = daemon.takeover
        EventLoop.main.spawn { _ = try? await takeover.release("pf") }
        await machine.settle(daemon, within: .seconds(100))
        #expect(machine.host.brokenPromises == [])
        #expect(machine.host.kernel[physical]?.driver == "vfio-pci")
        #expect(try daemon.takeover.view(of: "pf").groups[0].operation?.waitsFor?.contains("\(virtual[0])") == true)
        machine.host.perform { $0.closeWhateverHappens(file) }
        await machine.settle(daemon, within: .seconds(100)) { daemon.takeover.claimCount == 0 }
        #expect(daemon.takeover.claimCount == 0)
    }

    @Test("whoever asks for one that would go with its own group's claim does not get the group without it")
    @LoopActor func askedFor() async throws {
        let machine = try TestMachine(sharedGroup: true)
        let daemon = try await machine.start()
        for (asked, maker) in [(virtual[0], physical), (TestMachine.domain[1], TestMachine.vmd)] {
            let refused = await machine.claim(daemon, asked, force: [maker])
            guard case .failure(.wrongState(_, _, let reason)) = refused else {
                Issue.record("\(refused)")
                return
            }
            #expect(reason.contains("claim \(maker), which takes the group without it"))
        }
        #expect(daemon.life.effects == 0)
    }

    @Test("one claim has the one or the other, and says so")
    @LoopActor func both() async throws {
        let machine = try TestMachine(sharedGroup: false)
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        let refused = await machine.claim(daemon, virtual[0], physical, force: [physical])
        guard case .failure(.wrongState(_, _, let reason)) = refused else {
            Issue.record("\(refused)")
            return
        }
        #expect(reason.contains("one claim cannot have both"))
        #expect(try await machine.bindings() == before)
    }

    @Test("is not taken from who has it open, whoever is forced; what the host uses it for counts as well")
    @LoopActor func open() async throws {
        let machine = try TestMachine(sharedGroup: false)
        let daemon = try await machine.start()
        machine.host.uses = [DeviceUse(virtual[2], .route(to: "default", interface: "eth3"))]
        guard case .failure(.inUse(let uses)) = await machine.claim(daemon, physical, force: [physical]) else {
            Issue.record("the default route was taken")
            return
        }
        #expect(uses == machine.host.uses)
        machine.host.uses = []
        let file = try machine.host.perform { (kernel) throws(SimulatedKernel.Refusal) in
            _ = kernel.write(.driverOverride(virtual[0], "vfio-pci\n"))
            _ = kernel.write(.unbind(virtual[0], from: "iavf"))
            kernel.register(KernelDriver("vfio-pci"))
            _ = kernel.write(.driversProbe(virtual[0]))
            kernel.settle()
            return try kernel.openCdev(kernel.vfioNumber(of: virtual[0]) ?? -1)
        }
        await machine.settle(daemon, within: .seconds(1))
        guard case .failure(.wrongState(_, _, let reason)) = await machine.claim(daemon, physical, force: [physical])
        else {
            Issue.record("a function that somebody has open was taken away")
            return
        }
        #expect(reason.contains("\(virtual[0]) is open"))
        machine.host.perform { $0.closeWhateverHappens(file) }
        _ = try await machine.claim(daemon, physical, force: [physical]).get()
    }

    @Test("as many virtual functions are made again, and the release says what is lost", arguments: [false, true])
    @LoopActor func madeAgain(sharedGroup: Bool) async throws {
        let machine = try TestMachine(sharedGroup: sharedGroup)
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        let view = try await machine.claim(daemon, physical, name: "pf", force: [physical]).get().claim
        #expect(view.groups[0].record.members.map(\.address) == [physical])
        #expect(view.groups[0].record.members[0].remark?.contains("4 virtual functions went") == true)
        #expect(view.state == .claimed && machine.host.kernel[virtual[0]] == nil)
        let released = try await machine.release(daemon, "pf").get()
        #expect(released.isOver)
        let remark = try #require(released.returned[0].record.members[0].remark)
        #expect(remark.contains("made again") && remark.contains("MAC addresses, VLANs and drivers"))
        #expect(try await machine.bindings() == before)
    }

    @Test(
        "those that somebody made meanwhile are left; a driver that makes none keeps the group restoring, and says so")
    @LoopActor func notMade() async throws {
        let machine = try TestMachine(sharedGroup: false)
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, physical, force: [physical]).get().claim.claim.id
        machine.host.perform {
            $0.inject(SimulatedFault(.setNumVFs, of: physical, .fails(.enomem), .always))
        }
        let view = try await machine.release(daemon, id).get()
        #expect(view.state.name == "restoring" && machine.host.kernel[physical]?.driver == "ice")
        // An administrator makes two.
        machine.host.perform { kernel in
            kernel.clearFaults()
            _ = kernel.write(.numVFs(PCIAddress(domain: 0, bus: 5, device: 0, function: 0), 2))
        }
        await machine.settle(daemon, within: .seconds(300)) { daemon.takeover.claimCount == 0 }
        #expect(daemon.takeover.claimCount == 0 && machine.host.kernel.virtualFunctions(of: physical).count == 2)
    }

    @Test("a claim that fails makes them again, and tells that they are not the old ones")
    @LoopActor func failed() async throws {
        let machine = try TestMachine(sharedGroup: false)
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        machine.host.perform { kernel in
            kernel.register(KernelDriver("vfio-pci"))
            kernel.inject(SimulatedFault(.bindIOMMUFD, of: physical, .fails(.eio)))
        }
        guard
            case .failure(.failed(let failure, unrestored: [])) = await machine.claim(
                daemon, physical, force: [physical])
        else {
            Issue.record("it did not fail")
            return
        }
        #expect(failure.remarks.map(\.device) == [physical])
        #expect(failure.remarks.first?.reason.contains("made again") == true)
        #expect(try await machine.bindings() == before)
    }

    @Test("a driver that leaves its virtual functions behind is told from one that does not")
    @LoopActor func leftBehind() async throws {
        let machine = try TestMachine(sharedGroup: true)
        let daemon = try await machine.start()
        machine.host.perform { $0.leavesVirtualFunctions = true }
        let refused = await machine.claim(daemon, physical, force: [physical])
        guard case .failure(.failed(let failure, _)) = refused else {
            Issue.record("\(refused)")
            return
        }
        #expect(failure.remedy.contains("sriov_numvfs"))
    }

    @Test("a VMD is claimed without its domain, which is back after the release", arguments: [true, false])
    @LoopActor func domain(hasIOMMUFD: Bool) async throws {
        let machine = try TestMachine(sharedGroup: false, hasIOMMUFD: hasIOMMUFD)
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        let view = try await machine.claim(daemon, TestMachine.vmd, name: "vmd").get().claim
        #expect(view.groups[0].record.members.map(\.address) == [TestMachine.vmd])
        #expect(view.state == .claimed && view.groups[0].isOwned)
        await machine.settle(daemon, within: .seconds(60))
        #expect(try daemon.takeover.view(of: "vmd").state == .claimed)
        _ = try await machine.release(daemon, "vmd").get()
        #expect(try await machine.bindings() == before)
        #expect(machine.host.kernel[TestMachine.domain[1]]?.driver == "nvme")
    }

    /// What is done to a physical function.
    enum Blow: CaseIterable { case numVFs, unbind }

    @Test(
        "a claimed virtual function that is taken away is told of with its physical function, waited for or not",
        arguments: Blow.allCases, [true, false])
    @LoopActor func takenAway(blow: Blow, hasIOMMUFD: Bool) async throws {
        let machine = try TestMachine(sharedGroup: false, hasIOMMUFD: hasIOMMUFD)
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, virtual[0]).get().claim.claim.id
        await machine.settle(daemon, within: .seconds(1))
        machine.host.perform { kernel in
            switch blow {
            case .numVFs: _ = kernel.write(.numVFs(PCIAddress(domain: 0, bus: 5, device: 0, function: 0), 0))
            case .unbind: _ = kernel.write(.unbind(physical, from: "ice"))
            }
        }
        await machine.settle(daemon, within: .seconds(60))
        // Only a cdev keeps it from leaving.
        let event = daemon.claimEvents.last { hasIOMMUFD ? $0.isRemovalRequest : $0.cause.contains("left the host") }
        let cause = try #require(event).cause
        #expect(cause.contains("\(physical)"), "\(cause)")
        #expect(cause.contains("sriov_numvfs") == (blow == .numVFs && hasIOMMUFD), "\(cause)")
        if hasIOMMUFD {
            // The daemon lets go of it, since nobody uses it: it is gone, and nobody gets it.
            #expect(machine.host.kernel.blockedOperations.isEmpty)
            guard case .failure(.noSuchDevice) = await machine.claim(daemon, virtual[0]) else {
                Issue.record("a function that was taken from its owner could be claimed")
                return
            }
        }
        let view = try daemon.takeover.view(of: id)
        #expect(view.state.reason?.contains("\(physical)") == true, "\(String(describing: view.state.reason))")
        #expect(daemon.claimEvents.count { $0.cause == cause } == 1)
        _ = try await machine.release(daemon, id).get()
        await machine.settle(daemon, within: .seconds(60))
        #expect(daemon.takeover.claimCount == 0 && machine.host.kernel.blockedOperations.isEmpty)
    }

    @Test("what most likely does not let go is unbound first, while nothing else is taken from the host")
    func order() throws {
        func member(_ name: String, bridge: Bool = false, vfs: Int? = nil) -> ClaimedMember {
            ClaimedMember(
                address: device(name), identity: .init(), isBridge: bridge,
                before: .init(driver: .named("d"), virtualFunctions: vfs), vfioDriver: bridge ? nil : "vfio-pci",
                pin: bridge ? Pin.noDriver : "vfio-pci")
        }
        let group = ClaimedGroup(
            id: try #require(GroupID("pci0000-00_01.0")), kernelGroups: [1], goal: .take,
            members: [
                member("0000:00:01.0", bridge: true), member("0000:01:00.0"), member("0000:01:00.1", vfs: 4),
                member("0000:01:00.2"),
            ])
        let forced = ["0000:01:00.0", "0000:00:01.0"].map(device)
        let order = group.stepsToTake(kernelGroup: { _ in 1 }, forced: forced)
            .compactMap { if case .unbind(let member) = $0 { member.name } else { nil } }
        #expect(order == ["0000:01:00.1", "0000:01:00.0", "0000:01:00.2", "0000:00:01.0"])
    }

    /// How the group of a physical function is taken and given back.
    enum Way: CaseIterable { case claim, release }

    @Test(
        "killed after any effect, or with any effect failing, a daemon leaves as many as there were",
        arguments: Way.allCases)
    @LoopActor func crashes(way: Way) async throws {
        for isKilled in [true, false] {
            var effects = 1
            while true {
                let machine = try TestMachine(sharedGroup: effects % 2 == 0)
                let before = try await machine.bindings()
                if way == .release {
                    let daemon = try await machine.start()
                    _ = try await machine.claim(daemon, physical, name: "pf", force: [physical]).get()
                    daemon.kill()
                    await machine.settle(daemon, within: .seconds(1))
                }
                let life = Life(isKilled ? .killedAfter(effects) : .failsAt(effects))
                let daemon = try await machine.start(life)
                if !life.isOver {
                    switch way {
                    case .claim: _ = await machine.claim(daemon, physical, name: "pf", force: [physical])
                    case .release: _ = await machine.release(daemon, "pf")
                    }
                }
                let hasReplied = !life.isOver
                if hasReplied { await machine.settle(daemon) }
                daemon.kill()
                await machine.settle(daemon, within: .seconds(1))
                let next = try await machine.start()
                await machine.settle(next)
                for view in next.takeover.views { _ = await machine.release(next, view.claim.id) }
                await machine.settle(next)
                #expect(try await machine.bindings() == before, "effect \(effects) of \(way), killed: \(isKilled)")
                #expect(next.takeover.claimCount == 0)
                next.kill()
                await machine.settle(next, within: .seconds(1))
                if hasReplied, life.effects < effects { break }
                effects += 1
            }
            #expect(effects > 20)
        }
    }
}
