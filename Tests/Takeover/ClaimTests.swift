// Claims of groups on a simulated kernel, from the request to the way back.

import EventLoop
import Grouping
import Inventory
import PCI
import Registry
import SimulatedHost
import Testing
import TestSupport

@testable import Takeover

@Suite("A claim", .timeLimit(.minutes(15)))
struct ClaimTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("takes all endpoints to vfio, leaves bridges on their ports, and has the group owned")
    @LoopActor func takes() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        let granted = try await machine.claim(daemon, TestMachine.dozen[2]).get()
        #expect(granted.claim.state == .claimed)
        let kernel = machine.host.kernel
        for member in TestMachine.dozen.dropFirst(2) {
            #expect(kernel[member]?.driver == "vfio-pci")
            #expect(kernel[member]?.driverOverride == .present("vfio-pci"))
            #expect(kernel.allowsD3cold(member) == false)
        }
        #expect(kernel[TestMachine.dozen[0]]?.driver == "pcieport")
        #expect(kernel[TestMachine.dozen[1]]?.driver == nil)
        #expect(kernel[TestMachine.dozen[1]]?.driverOverride == .present(Pin.noDriver))
        #expect(kernel.isOwned(5))
        #expect(daemon.state(TestMachine.dozen[0]) == .claimed)
        #expect(granted.claim.ranges == [0...0x7f_ffff_ffff])
    }

    @Test("gives everything back as it was: drivers, overrides, power settings")
    @LoopActor func givesBack() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        let granted = try await machine.claim(daemon, TestMachine.dozen[2], TestMachine.single, TestMachine.triple[1])
            .get()
        #expect(try await machine.release(daemon, granted.claim.claim.id).get().isOver)
        #expect(try await machine.bindings() == before)
        #expect(daemon.takeover.claimCount == 0)
        #expect(try JournalFolder(path: machine.journal, bootID: "boot").load().claims == [])
        for group in [2, 4, 5] { #expect(!machine.host.kernel.isOwned(group)) }
        #expect(daemon.state(TestMachine.dozen[0]) == .available)
    }

    @Test("fails with the name of a driver that cannot be made to let go of a member, and leaves all as it was")
    @LoopActor func noUnbind() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        machine.host.perform { $0.suppressBinding(of: "nvme") }
        let daemon = try await machine.start()
        guard case .failure(.failed(let failure, let unrestored)) = await machine.claim(daemon, TestMachine.dozen[2])
        else {
            Issue.record("it did not fail")
            return
        }
        #expect(failure.member.map(TestMachine.dozen[10...].contains) == true && failure.action == "unbind")
        #expect(failure.detail == "nvme cannot be made to let go of it: it has no unbind attribute")
        #expect(unrestored == [])
        #expect(try await machine.bindings() == before)
        #expect(daemon.takeover.claimCount == 0)
    }
}
