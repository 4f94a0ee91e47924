// Groups that are on vfio drivers and in no claim: what they are, and who may adopt them.

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

@Suite("A group without a claim", .timeLimit(.minutes(15)))
struct AdoptionTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("found on vfio without a claim is orphaned, cannot be claimed, and can be adopted; its release leaves it so")
    @LoopActor func orphan() async throws {
        let machine = try TestMachine()
        machine.host.perform { kernel in
            try? kernel.loadModule("vfio-pci")
            _ = kernel.write(.driverOverride(TestMachine.single, "vfio-pci\n"))
            _ = kernel.write(.unbind(TestMachine.single, from: "e1000e"))
            _ = kernel.write(.driversProbe(TestMachine.single))
            kernel.settle()
        }
        let daemon = try await machine.start()
        #expect(daemon.state(TestMachine.single) == .orphaned)
        guard case .failure(.wrongState(_, "orphaned", _)) = await machine.claim(daemon, TestMachine.single) else {
            Issue.record("it could be claimed")
            return
        }
        let owner = machine.owner
        let view = await machine.running(daemon) {
            try? await daemon.takeover.adopt("pci0000-00_01.0_00.0", name: "found", lifetime: .manual, for: owner)
        }
        #expect(view?.state == .claimed)
        #expect(machine.host.kernel.isOwned(2))
        #expect(try await machine.release(daemon, "found").get().isOver)
        #expect(machine.host.kernel[TestMachine.single]?.driver == "vfio-pci")
        #expect(machine.host.kernel[TestMachine.single]?.driverOverride.value == "vfio-pci")
    }

    @Test(
        "found on vfio is not adopted while a program uses it, whether or not /proc shows who",
        arguments: [false, true])
    @LoopActor func usedOrphan(isHidden: Bool) async throws {
        let machine = try TestMachine()
        machine.host.hidesHolders = isHidden
        let file = try machine.host.perform { (kernel) throws(SimulatedKernel.Refusal) in
            try? kernel.loadModule("vfio-pci")
            _ = kernel.write(.driverOverride(TestMachine.single, "vfio-pci\n"))
            _ = kernel.write(.unbind(TestMachine.single, from: "e1000e"))
            _ = kernel.write(.driversProbe(TestMachine.single))
            kernel.settle()
            guard let number = kernel.vfioNumber(of: TestMachine.single) else { throw .failed(.enoent) }
            let cdev = try kernel.openCdev(number)
            try kernel.bindIOMMUFD(cdev, try kernel.openIOMMUFD())
            return cdev
        }
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        let owner = machine.owner
        let error = await machine.running(daemon) { () -> TakeoverError? in
            do throws(TakeoverError) {
                _ = try await daemon.takeover.adopt("pci0000-00_01.0_00.0", name: nil, lifetime: .manual, for: owner)
                return nil
            } catch { return error }
        }
        guard case .failed(let failure, _)? = error else {
            Issue.record("it was adopted")
            return
        }
        #expect(failure.member == TestMachine.single)
        #expect(try await machine.bindings() == before)
        #expect(machine.host.kernel.isOpen(file))
    }
}
