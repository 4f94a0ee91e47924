// Several who want the same, calls that never return, and clients that go away.

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

@Suite("Claims that compete", .timeLimit(.minutes(15)))
struct RaceTests {
    init() throws { try EventLoop.main.runInBackground() }

    @LoopActor
    private func attempt(
        _ daemon: MortalDaemon, _ request: ClaimRequest, _ owner: Owner
    ) -> Task<Result<Takeover.Granted, TakeoverError>, Never> {
        EventLoop.main.spawn {
            do throws(TakeoverError) { return .success(try await daemon.takeover.claim(request, for: owner)) } catch {
                return .failure(error)
            }
        }
    }

    @Test("two clients race for a group: one has it, the other learns who and since when")
    @LoopActor func two() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        let request = ClaimRequest([.device(TestMachine.triple[0])], lifetime: .manual)
        var other = machine.owner
        other.uid = 1001
        let (first, second) = (attempt(daemon, request, machine.owner), attempt(daemon, request, other))
        let results = await machine.running(daemon) { [await first.value, await second.value] }
        let winners = results.compactMap { try? $0.get() }
        let losers = results.compactMap { result -> TakeoverError? in
            if case .failure(let error) = result { error } else { nil }
        }
        #expect(winners.count == 1)
        guard case .groupBusy(let group, "claiming", let claim?)? = losers.first else {
            Issue.record("\(losers)")
            return
        }
        #expect(group.text == "pci0000-00_02.0_00.0")
        #expect(claim.id == winners[0].claim.claim.id)
        #expect(claim.since > 0)
        #expect(claim.owner.uid == winners[0].claim.claim.owner.uid)
    }

    @Test("a client that waits has the group when it is free, and is refused when its time is over")
    @LoopActor func waits() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        let first = try await machine.claim(daemon, TestMachine.single).get().claim.claim.id
        let patient = attempt(
            daemon, ClaimRequest([.device(TestMachine.single)], lifetime: .manual, wait: .seconds(600)), machine.owner)
        let hasty = await machine.claim(daemon, TestMachine.single, wait: .seconds(5))
        guard case .failure(.groupBusy(_, "claimed", let owner)) = hasty else {
            Issue.record("\(hasty)")
            return
        }
        #expect(owner?.id == first)
        _ = try await machine.release(daemon, first).get()
        let second = try await machine.running(daemon) { await patient.value }.get().claim
        #expect(second.state == .claimed)
        #expect(second.claim.id != first)
    }

    @Test("an unbind that never returns is shown with its pid, and keeps no other group from anything")
    @LoopActor func neverReturns() async throws {
        let machine = try TestMachine()
        machine.host.perform { $0.inject(SimulatedFault(.unbind, of: TestMachine.triple[0], .neverReturns)) }
        let daemon = try await machine.start()
        let stuck = attempt(
            daemon, ClaimRequest([.device(TestMachine.triple[0])], name: "stuck", lifetime: .manual), machine.owner)
        await machine.settle(daemon, within: .seconds(3)) {
            daemon.takeover.claims.values.first?.work.values.first?.step?.isBlocked == true
        }
        let operation = try #require(try daemon.takeover.view(of: "stuck").groups.first?.operation)
        #expect(operation.isBlocked)
        #expect(operation.action == "unbind")
        #expect(operation.member == TestMachine.triple[0])
        let pid = try #require(operation.pid)
        #expect(ProcessIdentity(of: pid) != nil, "the process exists and can be looked at")
        for _ in 0..<1000 {
            let claim = try await machine.claim(daemon, TestMachine.single).get()
            #expect(try daemon.takeover.view(of: claim.claim.claim.id).state == .claimed)
            #expect(try await machine.release(daemon, claim.claim.claim.id).get().isOver)
        }
        // The claim gives up; its group is on its way back for as long as it takes.
        let failure = await machine.running(daemon) { await stuck.value }
        guard case .failure(.failed(let step, let unrestored)) = failure else {
            Issue.record("\(failure)")
            return
        }
        #expect(step.cause == .blocked(pid: pid))
        #expect(unrestored.map(\.device).contains(TestMachine.triple[0]))
        // A restart finds the worker again.
        let started = MonotonicTime.now
        daemon.kill()
        #expect(MonotonicTime.now < started + .seconds(1))
        let next = try await machine.start()
        await machine.settle(next, within: .seconds(100))
        #expect(next.takeover.views.first?.groups.first?.operation?.isBlocked == true)
        #expect(next.takeover.views.first?.claim.groups.first?.workers.map(\.process.pid) == [pid])
        machine.host.perform { _ = $0.releaseAll() }
        await machine.settle(next) { next.takeover.claimCount == 0 }
        #expect(next.state(TestMachine.triple[0]) == .available)
        #expect(try await machine.host.readBinding(of: TestMachine.triple[0])?.driver == "nvidia")
    }

    @Test("a driver that takes its time with a device is waited for, and one that takes for ever is not")
    @LoopActor func slowProbe() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        for (time, isWaitedFor) in [(Duration.seconds(10), true), (.seconds(20), false)] {
            let claim = try await machine.claim(daemon, TestMachine.single).get().claim.claim.id
            machine.host.perform { $0.inject(SimulatedFault(.driversProbe, of: TestMachine.single, .neverReturns)) }
            let release = EventLoop.main.spawn { try? await daemon.takeover.release(claim) }
            await machine.settle(daemon, within: time)
            let operation = try #require(try daemon.takeover.view(of: claim).groups.first?.operation)
            #expect(operation.isBlocked != isWaitedFor)
            if isWaitedFor { machine.host.perform { _ = $0.releaseAll() } }
            #expect(await machine.running(daemon) { await release.value }?.isOver == isWaitedFor)
            machine.host.perform { _ = $0.releaseAll() }
            await machine.settle(daemon) { daemon.takeover.claimCount == 0 }
        }
    }

    @Test("a client that goes away while its claim is made has none, whatever its lifetime")
    @LoopActor func cancelled() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        machine.host.perform { $0.inject(SimulatedFault(.unbind, of: TestMachine.triple[1], .neverReturns)) }
        let daemon = try await machine.start()
        let claim = attempt(
            daemon, ClaimRequest([.device(TestMachine.triple[0])], lifetime: .manual), machine.owner)
        await machine.settle(daemon, within: .seconds(1))
        claim.cancel()
        let result = await machine.running(daemon) { await claim.value }
        #expect(throws: TakeoverError.stopped) { try result.get() }
        machine.host.perform { _ = $0.releaseAll() }
        await machine.settle(daemon) { daemon.takeover.claimCount == 0 }
        #expect(try await machine.bindings() == before)
    }

    @Test("a claim that the daemon's end finds at any moment is not made after it")
    @LoopActor func stopped() async throws {
        for turns in 0..<40 {
            let machine = try TestMachine()
            let daemon = try await machine.start()
            let claim = attempt(daemon, ClaimRequest([.device(TestMachine.single)], lifetime: .manual), machine.owner)
            for _ in 0..<turns { await EventLoop.main.yield() }
            daemon.kill()
            _ = await claim.value
            #expect(daemon.takeover.claims.isEmpty, "after \(turns) turns")
        }
    }

    @Test("a client whose claim somebody releases while it is made is told so, and not left waiting")
    @LoopActor func releasedWhileMade() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        machine.host.perform { $0.inject(SimulatedFault(.unbind, of: TestMachine.triple[1], .neverReturns)) }
        let daemon = try await machine.start()
        let claim = attempt(
            daemon, ClaimRequest([.device(TestMachine.triple[0])], name: "stuck", lifetime: .manual), machine.owner)
        await machine.settle(daemon, within: .seconds(3)) {
            daemon.takeover.claims.values.first?.work.values.first?.step?.isBlocked == true
        }
        #expect(try await machine.release(daemon, "stuck").get().isOver == false)
        guard case .failure(.failed(let failure, let unrestored)) = await machine.running(daemon, { await claim.value })
        else {
            Issue.record("it did not fail")
            return
        }
        #expect(failure.cause == .reason("the claim was released before it was made"))
        #expect(failure.action == "unbind" && failure.member == TestMachine.triple[1])
        #expect(unrestored.map(\.device).contains(TestMachine.triple[1]))
        machine.host.perform { _ = $0.releaseAll() }
        await machine.settle(daemon) { daemon.takeover.claimCount == 0 }
        #expect(try await machine.bindings() == before)
    }

    @Test("ends with its owner's process, also when that ended while no daemon ran; a manual one stays")
    @LoopActor func ownerEnds() async throws {
        let machine = try TestMachine()
        var daemon = try await machine.start()
        _ = try await machine.claim(daemon, TestMachine.single, lifetime: .process).get()
        _ = try await machine.claim(daemon, TestMachine.triple[0], lifetime: .manual).get()
        machine.host.endProcess(machine.client)
        await machine.settle(daemon) { daemon.takeover.claimCount == 1 }
        #expect(daemon.state(TestMachine.single) == .available)
        #expect(daemon.state(TestMachine.triple[0]) == .claimed)
        daemon.kill()

        let second = try TestMachine()
        daemon = try await second.start()
        _ = try await second.claim(daemon, TestMachine.single, lifetime: .process).get()
        _ = try await second.claim(daemon, TestMachine.triple[0], lifetime: .connection).get()
        daemon.kill()
        await second.settle(daemon, within: .seconds(1))
        second.host.endProcess(second.client)
        daemon = try await second.start()
        await second.settle(daemon) { daemon.takeover.claimCount == 0 }
        #expect(daemon.state(TestMachine.single) == .available)
        #expect(daemon.state(TestMachine.triple[0]) == .available)
    }
}
