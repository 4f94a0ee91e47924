// Groups are called after a restart what the claims on record call them, whatever left or came meanwhile.

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

@Suite("A group on record", .timeLimit(.minutes(15)))
struct RecordedIdentityTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("is the claim's after its first member was unplugged and the daemon restarted")
    @LoopActor func firstMemberGone() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        var daemon = try await machine.start()
        let granted = try await machine.claim(daemon, TestMachine.triple[0]).get()
        let id = granted.claim.claim.id
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        _ = machine.host.perform { $0.unplug(TestMachine.triple[0]) }
        machine.host.perform { $0.settle() }
        // Its file is the daemon's that was killed, and the store's.
        for name in machine.store.names where name.contains("0000:02:00.0") { machine.store.drop(name) }
        daemon = try await machine.start()
        await machine.settle(daemon, within: .seconds(60))
        let record = try #require(daemon.registry.snapshot.group(of: TestMachine.triple[1]))
        #expect(record.id == granted.groups[0])
        #expect(record.claim == id)
        #expect(daemon.registry.snapshot.groups.allSatisfy { $0.state != .orphaned })
        _ = try await machine.release(daemon, id).get()
        await machine.settle(daemon) { daemon.takeover.claimCount == 0 }
        for member in TestMachine.triple.dropFirst() {
            #expect(try await machine.host.readBinding(of: member) == before[member])
        }
    }

    @Test("that was joined with another claim's keeps its members: no device comes into two claims")
    @LoopActor func joined() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        var daemon = try await machine.start()
        let first = try await machine.claim(daemon, TestMachine.single).get().claim.claim
        let second = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        daemon = try await machine.start()
        // As after a change of what the platform isolates.
        let both = KnownGroup(first.groups[0].id, [TestMachine.single] + TestMachine.triple)
        #expect(daemon.takeover.claim(of: TestMachine.single)?.id == first.id)
        let claim = try #require(daemon.takeover.claims[first.id])
        for member in both.members {
            #expect((daemon.takeover.claim(of: member, besides: claim) != nil) == (member != TestMachine.single))
        }
        guard case .failure(.groupBusy) = await machine.claim(daemon, TestMachine.triple[2]) else {
            Issue.record("it could be claimed")
            return
        }
        for id in [first.id, second.id] { _ = try await machine.release(daemon, id).get() }
        #expect(try await machine.bindings() == before)
    }

    @Test("that is in quarantine stays so after its first member was unplugged and the daemon restarted")
    @LoopActor func quarantined() async throws {
        let machine = try TestMachine()
        var daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        machine.host.perform { $0.setReset(.fails(.etimedout), of: TestMachine.triple[1]) }
        _ = try await machine.release(daemon, id).get()
        #expect(daemon.state(TestMachine.triple[1])?.name == "quarantined")
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        _ = machine.host.perform { $0.unplug(TestMachine.triple[0]) }
        machine.host.perform { $0.settle() }
        daemon = try await machine.start()
        #expect(daemon.state(TestMachine.triple[1])?.name == "quarantined")
    }
}
