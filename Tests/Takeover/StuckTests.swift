// One member that is stuck in the kernel holds only itself: the others of its group go home without it, and nothing of
// them is left when the claim is abandoned.

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

@Suite("A member that is stuck in the kernel", .timeLimit(.minutes(15)))
struct StuckTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// The calls of the way back that may never return.
    static let steps: [SimulatedFault.Step] = [
        .reset, .writeDriverOverride, .unbind, .driversProbe, .setPowerControl, .setD3coldAllowed,
    ]

    @LoopActor private static let stuck = TestMachine.triple[0]
    @LoopActor private static let others = TestMachine.triple.dropFirst()

    @Test("lets the others go home, whatever it is stuck in; the claim is over when it lets go", arguments: steps)
    @LoopActor func wayBack(step: SimulatedFault.Step) async throws {
        let machine = try TestMachine()
        // So that there is something to put back.
        if step == .setD3coldAllowed {
            machine.host.perform { _ = $0.write(.d3coldAllowed(Self.stuck, true)) }
        }
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, Self.stuck).get().claim.claim.id
        if step == .setPowerControl {
            machine.host.perform { _ = $0.write(.powerControl(Self.stuck, .on)) }
        }
        machine.host.perform { $0.inject(SimulatedFault(step, of: Self.stuck, .neverReturns)) }
        let view = try await machine.release(daemon, id).get()
        #expect(machine.host.kernel.blockedOperations.count == 1)
        #expect(view.groups.first?.operation?.isBlocked == true)
        #expect(view.groups.first?.operation?.member == Self.stuck)
        await machine.settle(daemon, within: .seconds(600))
        let now = try await drivers(machine)
        for other in Self.others { #expect(now[other] == before[other]?.driver, "\(other)") }
        #expect(Array(try #require(daemon.takeover.view(of: id).groups.first?.problems.keys)) == [Self.stuck])
        machine.host.perform { _ = $0.releaseAll() }
        await machine.settle(daemon, within: .seconds(600)) { daemon.takeover.claimCount == 0 }
        #expect(daemon.takeover.claimCount == 0)
        #expect(try await machine.bindings() == before)
        #expect(machine.host.brokenPromises == [])
    }

    @Test("on the way in fails the claim, and the others are home before that is said; so it is after a restart")
    @LoopActor func wayIn() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        machine.host.perform { $0.inject(SimulatedFault(.unbind, of: Self.stuck, .neverReturns)) }
        var daemon = try await machine.start()
        guard case .failure(.failed(let failure, let unrestored)) = await machine.claim(daemon, Self.stuck) else {
            Issue.record("it was claimed")
            return
        }
        #expect(failure.member == Self.stuck)
        #expect(unrestored.map(\.device) == [Self.stuck])
        var now = try await overrides(machine)
        for other in Self.others { #expect(now[other] == before[other]?.driverOverride, "\(other)") }
        for other in Self.others { #expect(try await drivers(machine)[other] == before[other]?.driver, "\(other)") }
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        daemon = try await machine.start()
        await machine.settle(daemon, within: .seconds(600))
        #expect(daemon.takeover.views.first?.groups.first?.operation?.isBlocked == true)
        let id = try #require(daemon.takeover.views.first?.claim.id)
        #expect(try await daemon.takeover.abandon(id).map(\.device) == [Self.stuck])
        now = try await overrides(machine)
        for other in Self.others { #expect(now[other] == before[other]?.driverOverride, "\(other)") }
    }

    @Test("does not keep a group that is killed with its calls on record from being finished by the next daemon")
    @LoopActor func restart() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        var daemon = try await machine.start()
        let id = try await machine.claim(daemon, Self.stuck).get().claim.claim.id
        machine.host.perform { kernel in
            for member in TestMachine.triple.prefix(2) {
                kernel.inject(SimulatedFault(.reset, of: member, .neverReturns))
            }
        }
        _ = try await machine.release(daemon, id).get()
        await machine.settle(daemon, within: .seconds(60))
        #expect(try daemon.takeover.view(of: id).claim.groups.first?.workers.count == 2)
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        daemon = try await machine.start()
        await machine.settle(daemon, within: .seconds(60))
        #expect(try daemon.takeover.view(of: id).claim.groups.first?.workers.count == 2)
        machine.host.perform { _ = $0.releaseAll() }
        await machine.settle(daemon, within: .seconds(600)) { daemon.takeover.claimCount == 0 }
        #expect(try await machine.bindings() == before)
    }

    @Test("keeps no other member of a held group from being taken again")
    @LoopActor func held() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, Self.stuck).get().claim.claim.id
        machine.host.perform { kernel in
            kernel.inject(SimulatedFault(.driversProbe, of: TestMachine.triple[1], .neverReturns))
            _ = kernel.write(.unbind(TestMachine.triple[1], from: "vfio-pci"))
        }
        await machine.settle(daemon, within: .seconds(60))
        machine.host.perform { _ = $0.write(.unbind(TestMachine.triple[2], from: "vfio-pci")) }
        await machine.settle(daemon, within: .seconds(60))
        #expect(machine.host.kernel[TestMachine.triple[2]]?.driver == "vfio-pci")
        #expect(machine.host.kernel[TestMachine.triple[1]]?.driver == nil)
        machine.host.perform { _ = $0.releaseAll() }
        await machine.settle(daemon, within: .seconds(120))
        let view = try daemon.takeover.view(of: id)
        #expect(view.state == .claimed, "\(view.groups[0].problems)")
    }

    /// The drivers by the links alone: a device that is stuck cannot be read.
    @LoopActor private func drivers(_ machine: TestMachine) async throws -> [DeviceAddress: String] {
        var drivers: [DeviceAddress: String] = [:]
        for member in TestMachine.triple { drivers[member] = machine.host.kernel[member]?.driver }
        return drivers
    }

    @LoopActor private func overrides(_ machine: TestMachine) async throws -> [DeviceAddress: String] {
        var overrides: [DeviceAddress: String] = [:]
        for member in TestMachine.triple { overrides[member] = machine.host.kernel[member]?.driverOverride.value }
        return overrides
    }
}
