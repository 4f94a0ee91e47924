// A host that slept while groups were claimed: devices lose what is in them, and nobody else tells their users.

import EventLoop
import Host
import Inventory
import Testing
import TestSupport

@testable import SimulatedHost
@testable import Takeover

@Suite("A host that slept", .timeLimit(.minutes(15)))
struct SleepTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("has every claim told of it, with for how long and what is lost; what is held stays held")
    @LoopActor func slept() async throws {
        let machine = try TestMachine()
        machine.host.timeAsleep = .seconds(7)
        let daemon = try await machine.start()
        daemon.takeover.timing.memberLook = .seconds(2)
        let held = try await machine.claim(daemon, TestMachine.single).get().claim.claim.id
        let used = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        let (_, copies) = try await machine.launch(daemon, used, .bound)
        await machine.settle(daemon, within: .seconds(10))
        #expect(!daemon.claimEvents.contains { $0.cause.contains("slept") }, "that was before the daemon")
        machine.host.timeAsleep += .seconds(90)
        await machine.settle(daemon, within: .seconds(10))
        let told = daemon.claimEvents.filter { $0.cause.contains("slept") }
        #expect(Set(told.map(\.claim)) == [held, used])
        #expect(told.allSatisfy { $0.change == .changed && $0.cause.contains("90 s") })
        #expect(told.first { $0.claim == used }?.cause.contains("restart the program that uses them") == true)
        #expect(daemon.reports.filter { $0.contains("slept") }.count == 2)
        #expect(machine.host.kernel.isOwned(2) && machine.host.kernel.isOwned(4))
        await machine.settle(daemon, within: .seconds(10))
        #expect(daemon.claimEvents.filter { $0.cause.contains("slept") }.count == 2, "once for each")
        for file in copies { file.letGo() }
    }

    @Test("for less than a second has not slept: two clocks are never read at once")
    @LoopActor func jitter() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        daemon.takeover.timing.memberLook = .seconds(2)
        _ = try await machine.claim(daemon, TestMachine.single).get()
        for _ in 0..<5 {
            machine.host.timeAsleep += .milliseconds(300)
            await machine.settle(daemon, within: .seconds(2))
            machine.host.timeAsleep -= .milliseconds(300)
            await machine.settle(daemon, within: .seconds(2))
        }
        #expect(!daemon.claimEvents.contains { $0.cause.contains("slept") })
    }
}
