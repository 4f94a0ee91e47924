// What consumers are told that they need.

import EventLoop
import Grouping
import Inventory
import Registry
import SimulatedHost
import Testing
import TestSupport

@testable import Takeover

@Suite("What a consumer needs", .timeLimit(.minutes(15)))
struct ConsumerNeedsTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("is the memory of the guest and a little more to lock, and one address space for a container")
    @LoopActor func memory() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        let snapshot = daemon.registry.snapshot
        var claim = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim
        // Documentation/kernel.md, Handing over: -m 64 needs 66,560 KiB.
        #expect(ConsumerNeeds(of: claim, guestMemory: 64 << 20, in: snapshot).memlock == 66_560 << 10)
        #expect(ConsumerNeeds(of: claim, guestMemory: 1 << 62, in: snapshot).memlock == 1 << 62 | 1 << 20)
        #expect(ConsumerNeeds(of: claim, guestMemory: nil, in: snapshot).memlock == nil)
        for access in [Access.hold, .bound, .unbound, .container, .path] {
            claim.access = access
            let needs = ConsumerNeeds(of: claim, guestMemory: nil, in: snapshot)
            #expect(needs.sharesAddressSpace == (access == .container))
        }
    }

    @Test("is who a reset takes along, and whether all of them are claimed")
    @LoopActor func resets() async throws {
        let machine = try TestMachine()
        let stranger = pciDevice("0000:02:00.3", parent: "0000:00:02.0", driver: "xhci_hcd")
        try machine.host.perform { (kernel) throws(KernelErrno) in try kernel.plug(stranger, into: .newGroup) }
        let daemon = try await machine.start()
        let claim = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim
        let needs = ConsumerNeeds(of: claim, guestMemory: nil, in: daemon.registry.snapshot)
        #expect(
            needs.resets == [
                .init(
                    kind: .bus, name: "0000:02", devices: TestMachine.triple + [stranger.address],
                    unclaimed: [stranger.address])
            ])
    }
}
