// What must be true of the random world at every moment, and at its end.

import EventLoop
import Grouping
import Host
import Inventory
import Registry
import TestSupport

@testable import SimulatedHost
@testable import Takeover

extension RandomWorld {
    /// A client was told that a claim failed and what is not as it was: all else of the group is.
    func hasFailed(_ failure: StepFailure, _ unrestored: [Unrestored]) {
        guard let record = daemon.registry.snapshot.group(failure.group), record.claim == nil, !daemon.life.isOver
        else {
            return
        }
        for member in record.group.members
        where !meddled.contains(member) && !unrestored.contains(where: { $0.device == member }) {
            guard let now = host.kernel.settledBinding(of: member), let before = expected[member] else { continue }
            if now != before { fail("a failed claim left \(member) as \(now) instead of \(before)") }
        }
    }

    /// What a consumer mapped is reached by whoever has its iommufd: each launch gets another.
    func noteIOMMUFD(of handover: Handover) {
        guard let iommufd = handover.iommufd.flatMap({ host.files.file($0) }) else { return }
        if !seenIOMMUFDs.insert(iommufd).inserted { fail("a consumer gets the iommufd that another has had") }
    }

    func check() {
        guard !daemon.life.isOver else { return }
        var owners: [GroupID: String] = [:]
        for claim in daemon.takeover.claims.values {
            for group in claim.record.groups {
                if let other = owners.updateValue(claim.id, forKey: group.id) {
                    fail("group \(group.id) is in \(claim.id) and in \(other)")
                }
            }
        }
        let kernel = host.kernel
        for record in daemon.registry.snapshot.groups where owners[record.id] == nil && record.claim == nil {
            for member in record.group.members where !meddled.contains(member) && !isClaimed(member) {
                guard let now = kernel.settledBinding(of: member), let before = expected[member] else { continue }
                if now != before { fail("\(member) is in no claim and \(now) instead of \(before)") }
            }
        }
        for promise in host.brokenPromises.dropFirst(promisesSeen) { fail("broken promise: \(promise)") }
        promisesSeen = host.brokenPromises.count
        if failures.count > 20 { failures = Array(failures.prefix(20)) }
    }

    /// The end: nothing goes wrong any more, all claims are released, and all is as it was.
    func finish() async {
        await restart(after: nil)
        for index in consumers.indices { consumers[index].end(on: host) }
        consumers = []
        for round in 0..<200 {
            letGoOn()
            host.collectClosedFiles()
            for id in daemon.takeover.claims.keys.sorted() where daemon.takeover.claims[id]?.record.goal != .restore {
                let takeover = daemon.takeover
                requests.append(
                    EventLoop.main.spawn { do throws(TakeoverError) { _ = try await takeover.release(id) } catch {} })
            }
            await turn(200)
            if let next = clock.nextDeadline { clock.advance(to: next) }
            if daemon.takeover.claimCount == 0, host.kernel.blockedOperations.isEmpty { break }
            if round == 199 {
                fail("claims never end: \(daemon.takeover.views.map { "\($0.state) \($0.groups)" })")
            }
        }
        await turn(50)
        check()
        for (member, before) in expected {
            guard let now = host.kernel.settledBinding(of: member) else { continue }
            if !meddled.contains(member), now != before { fail("at the end \(member) is \(now) instead of \(before)") }
            if now.driverOverride == Pin.noDriver { fail("at the end \(member) is still pinned") }
        }
        let left = (try? JournalFolder(path: folder.path + "/claims", bootID: "boot").load())?.claims ?? []
        if !left.isEmpty { fail("at the end there is on record \(left)") }
        daemon.kill()
        await turn(10)
    }
}

extension SimulatedKernel {
    /// What a device is, whatever goes on with it.
    func settledBinding(of address: DeviceAddress) -> DeviceBinding? {
        var kernel = self
        return (try? kernel.binding(of: address)) ?? nil
    }
}
