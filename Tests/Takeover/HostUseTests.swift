// What the host uses: looked at again before anything is taken, passed over by selectors of IDs, and told by a dry run.

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

@Suite("What the host uses", .timeLimit(.minutes(15)))
struct HostUseTests {
    init() throws { try EventLoop.main.runInBackground() }

    @LoopActor private static let mount = DeviceUse(TestMachine.triple[1], .mounted(at: "/srv", via: "sda1"))
    /// What happens when a daemon has pinned a member of the group of three.
    @LoopActor private func whenPinned(_ body: @escaping @LoopActor () -> Void) -> Life {
        let life = Life()
        life.after = { _, effect in
            if case .call(.setDriverOverride(TestMachine.triple[2], .some)) = effect { body() }
        }
        return life
    }

    @Test("a use that begins between the look at the host and the first unbind refuses the claim, and all is undone")
    @LoopActor func begins() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        let life = whenPinned { machine.host.uses = [Self.mount] }
        var touched: [String] = []
        life.before = { _, effect in
            if case .call(let call) = effect, case .unbind(let clearance, _) = call {
                touched.append("\(clearance.device)")
            }
        }
        let daemon = try await machine.start(life)
        let refused = await machine.claim(daemon, TestMachine.triple[0])
        guard case .failure(.inUse([Self.mount])) = refused else {
            Issue.record("\(refused)")
            return
        }
        #expect(touched.isEmpty, "nothing was taken from the host")
        #expect(try await machine.bindings() == before)
        #expect(daemon.takeover.claimCount == 0)
    }

    @Test("the same for a group that is added to a claim, which keeps what it has")
    @LoopActor func beginsWhileAttaching() async throws {
        let machine = try TestMachine()
        let life = whenPinned { machine.host.uses = [Self.mount] }
        let daemon = try await machine.start(life)
        let claim = try await machine.claim(daemon, TestMachine.single).get().claim.claim.id
        let refusal = await machine.running(daemon) { () -> TakeoverError? in
            do throws(TakeoverError) {
                _ = try await daemon.takeover.attach([.device(TestMachine.triple[0])], to: claim)
                return nil
            } catch { return error }
        }
        #expect(refusal == .inUse([Self.mount]))
        #expect(machine.host.kernel[TestMachine.triple[0]]?.driver == "nvidia")
        #expect(try daemon.takeover.view(of: claim).groups.map(\.record.id.text) == ["pci0000-00_01.0_00.0"])
    }

    @Test("what only warns, and what is forced, may begin as late as it likes")
    @LoopActor func beginsAndStopsNothing() async throws {
        let machine = try TestMachine()
        let life = whenPinned {
            machine.host.uses = [Self.mount, DeviceUse(TestMachine.triple[0], .linkUp(interface: "eth0"))]
        }
        let daemon = try await machine.start(life)
        _ = try await machine.claim(daemon, TestMachine.triple[0], force: [TestMachine.triple[1]]).get()
    }

    @Test("selectors by IDs pass over groups that would be refused, and say which and why when too few are left")
    @LoopActor func passesOver() async throws {
        let machine = try TestMachine(more: [
            pciDevice("0000:00:06.0", group: 8, driver: "e1000e"),
            pciDevice("0000:00:07.0", group: 9, driver: "e1000e"),
        ])
        let route = DeviceUse(device("0000:00:06.0"), .route(to: "default", interface: "eth0"))
        machine.host.uses = [route]
        let daemon = try await machine.start()
        let owner = machine.owner
        let pattern = EndpointPattern(vendorID: 0x8086, deviceID: nil, classCode: ClassCode(rawValue: 0x020001))
        func claim(_ count: Int, force: [DeviceAddress] = []) async -> Result<Takeover.Granted, TakeoverError> {
            await machine.running(daemon) {
                do throws(TakeoverError) {
                    return .success(
                        try await daemon.takeover.claim(
                            ClaimRequest([.endpoint(pattern, count: count)], lifetime: .manual, force: force),
                            for: owner))
                } catch { return .failure(error) }
            }
        }
        let all = Selection.candidates([.endpoint(pattern, count: 1)], in: daemon.takeover.snapshot)
        let refused = await claim(all.count)
        guard case .failure(let error) = refused else {
            Issue.record("\(refused)")
            return
        }
        #expect(
            error
                == .notEnoughGroups(selector: 0, wanted: all.count, found: all.count - 1, inUse: [route]))
        #expect(error.sentence.contains("0000:00:06.0: the default route leads through its interface eth0"))
        let granted = try await claim(all.count - 1).get()
        #expect(!granted.groups.contains { $0.text.hasSuffix("06.0") })
        // Who names it, has it.
        let forced = try await claim(1, force: [device("0000:00:06.0")]).get()
        #expect(forced.groups.map(\.text) == ["pci0000-00_06.0"])
    }

    @Test("a dry run says what would be taken, by which steps, and changes nothing")
    @LoopActor func dryRun() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        let owner = machine.owner
        func plan(_ force: [DeviceAddress] = []) async throws -> ClaimPlan {
            try await machine.running(daemon) { () -> Result<ClaimPlan, TakeoverError> in
                do throws(TakeoverError) {
                    return .success(
                        try await daemon.takeover.plan(
                            ClaimRequest([.device(TestMachine.triple[0])], force: force), for: owner))
                } catch { return .failure(error) }
            }.get()
        }
        var found = try await plan()
        #expect(!found.isRefused && found.uses.isEmpty)
        let group = try #require(found.groups.first)
        #expect(group.members.map(\.address) == TestMachine.triple)
        #expect(group.members.map(\.before.driver.name) == ["nvidia", "snd_hda_intel", nil])
        #expect(group.members.map(\.vfioDriver) == ["vfio-pci", "vfio-pci", "vfio-pci"])
        #expect(group.selected == [TestMachine.triple[0]], "the others come along")
        let actions = group.steps.map(\.action)
        let look = try #require(actions.firstIndex(of: "look for uses"))
        #expect(actions.lastIndex(of: "pin") == look - 1 && actions.firstIndex(of: "unbind") == look + 1)
        #expect(actions.last == "prove")
        machine.host.uses = [Self.mount]
        found = try await plan()
        #expect(found.isRefused && found.uses == [Self.mount])
        found = try await plan([TestMachine.triple[1]])
        #expect(!found.isRefused && found.uses == [Self.mount])
        #expect(daemon.life.effects == 0)
        #expect(daemon.takeover.claimCount == 0)
        #expect(try await machine.bindings() == before)
        // What else would refuse the claim refuses this.
        machine.host.uses = []
        _ = try await machine.claim(daemon, TestMachine.triple[0]).get()
        guard case .groupBusy? = await refusal({ () async throws in _ = try await plan() }) else {
            Issue.record("a group that is claimed was planned for")
            return
        }
    }

    @LoopActor private func refusal(_ body: () async throws -> Void) async -> TakeoverError? {
        do {
            try await body()
            return nil
        } catch { return error as? TakeoverError }
    }

    @Test("who has an orphaned or a quarantined group refused is told the command that helps")
    @LoopActor func commands() async throws {
        let machine = try TestMachine()
        machine.host.perform { kernel in
            try? kernel.loadModule("vfio-pci")
            _ = kernel.write(.driverOverride(TestMachine.single, "vfio-pci\n"))
            _ = kernel.write(.unbind(TestMachine.single, from: "e1000e"))
            _ = kernel.write(.driversProbe(TestMachine.single))
            kernel.settle()
        }
        let daemon = try await machine.start()
        guard case .failure(.wrongState(_, "orphaned", let reason)) = await machine.claim(daemon, TestMachine.single)
        else {
            Issue.record("a group on vfio drivers was claimed")
            return
        }
        #expect(reason.contains("vfiogroupctl adopt pci0000-00_01.0_00.0"))
        let claim = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        daemon.takeover.quarantine(
            try #require(daemon.takeover.claims[claim]?.record.groups.first?.id), reason: "its reset failed",
            by: try #require(daemon.takeover.claims[claim]))
        _ = await machine.release(daemon, claim)
        let refused = await machine.claim(daemon, TestMachine.triple[0])
        guard case .failure(.wrongState(_, "quarantined", let other)) = refused else {
            Issue.record("a group in quarantine was claimed")
            return
        }
        #expect(other.contains("vfiogroupctl unquarantine pci0000-00_02.0_00.0"))
    }
}
