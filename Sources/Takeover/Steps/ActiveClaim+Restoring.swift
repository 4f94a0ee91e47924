// The way back: every member gets the driver, the override and the power settings it had, is looked at, and only then
// is off the record. What fails is tried again, visibly, until it succeeds or somebody abandons the claim.

import EventLoop
import Grouping
import Host
import Inventory
import Registry

extension ActiveClaim {
    /// Sends groups back to the host. Each goes its own way: one that is stuck holds no other.
    func beginRestoring(_ groups: [GroupID]) {
        for id in groups {
            update(id) { group in
                if group.goal == .hold { group.wasHeld = true }
                group.goal = .restore
            }
            work[id]?.problems = [:]
            work[id]?.remedies = [:]
            work[id]?.setback = nil
        }
        // The goal that is on record may stay the old one: a daemon that starts with it comes to restore as well, or holds
        // what nobody has given back.
        saveOrReport()
        takeover.changed()
        for id in groups {
            work[id]?.task?.cancel()
            let previous = work[id]?.task
            work[id]?.task = EventLoop.main.spawn { [self] in
                await previous?.value
                await restoreUntilDone(id)
            }
        }
    }

    private func restoreUntilDone(_ group: GroupID) async {
        var pause = takeover.timing.firstRetry
        var tries = 0
        var refusals = 0
        while !Task.isCancelled {
            let atHome = restoredMembers(of: group)
            do throws(StepFailure) {
                try await restoreOnce(group)
                // Without its claim the group is what its devices are: they are to be seen back first.
                await takeover.keeper?.refresh()
                if Task.isCancelled { return }
                return takeover.restored(group, of: self)
            } catch {
                if case .stopped = error.cause { return }
                // The release is answered with this setback: what did go home is to be seen there by then.
                if tries == 0 || restoredMembers(of: group) != atHome { await takeover.keeper?.refresh() }
                if Task.isCancelled { return }
                tries += 1
                refusals = error.isRefusal ? refusals + 1 : 0
                work[group]?.setback = RestoreSetback(
                    failure: error, tries: tries, waitsForChange: refusals >= takeover.timing.refusals, claim: id)
                takeover.changed()
            }
            let waitsForChange = refusals >= takeover.timing.refusals
            do throws(LoopError) {
                try await awaitRetry(of: group, after: waitsForChange ? nil : pause, signs(of: group))
                // A change may be the first of several.
                if waitsForChange { try await host.sleep(for: takeover.timing.firstRetry) }
            } catch { return }
            pause = min(pause * 2, takeover.timing.lastRetry)
        }
    }

    private func restoredMembers(of group: GroupID) -> Int {
        self[group]?.members.filter(\.isRestored).count ?? 0
    }

    /// One try. A member that fails, or is stuck, keeps no other from going home; the first failure is the one that is told,
    /// and one that time may mend comes before a driver's refusal.
    private func restoreOnce(_ group: GroupID) async throws(StepFailure) {
        repeat {
            forgetErrands(of: group)
            var failures: [DeviceAddress: StepFailure] = [:]
            var first: StepFailure?
            let steps = self[group]?.stepsToRestore() ?? []
            for (index, step) in steps.enumerated() {
                // Who was not reset does not go home; who is stuck in one thing is not done another to.
                if let member = step.member, failures[member] != nil || isAside(member, in: group) { continue }
                do throws(StepFailure) {
                    try await takeBack(step, number: index + 1, of: steps.count, for: group)
                } catch {
                    // Without what the members share the rest is not safe: their way home needs the group not owned.
                    guard let member = step.member else { throw error }
                    if case .stopped = error.cause { throw error }
                    failures[member] = error
                    if first == nil || first?.isRefusal == true && !error.isRefusal { first = error }
                }
            }
            work[group]?.unrestored =
                failures.sorted { $0.key < $1.key }.map {
                    Unrestored(device: $0.key, reason: $0.value.reason, remedy: $0.value.remedy)
                }
                + unrestoredErrands(of: group)
            if let first { throw first }
        } while try await awaitErrand(of: group)
    }

    /// Takes a step of the way back. What is about one member alone is put aside when it sits in the kernel.
    private func takeBack(
        _ step: TakeoverStep, number: Int, of count: Int, for group: GroupID
    ) async throws(StepFailure) {
        guard let member = step.member else {
            return try await take(step, number: number, of: count, for: group, deadline: nil)
        }
        var shown = GroupWork.Step(step: step, number: number, count: count, began: host.now, member: member)
        if case .restore = step, let work = work[group], !work.errands.isEmpty {
            // Whoever has opened the one that was put aside could reach those that go home.
            let number = work.begin(shown)
            defer { work.end(number) }
            try await awaitOthers(StepContext(group: group, step: step, number: number))
            shown.began = host.now
        }
        try await runErrand(shown, of: group) { [self] (context) async throws(StepFailure) in
            try await awaitWorkers(about: member, context)
            if case .reset = step { try await reset(member, context) } else { try await restore(member, context) }
        }
    }

    /// Puts a member back to what it was, from whatever it is now.
    func restore(_ member: DeviceAddress, _ context: StepContext) async throws(StepFailure) {
        let recorded = try recorded(member, context)
        switch try await clearance(for: recorded, on: [recorded.vfioDriver, nil], context) {
        case .success(let clearance):
            try await restoreDriver(recorded, clearance, context)
            try await restorePower(recorded, context)
        case .failure(.onDriver):
            // On a driver that the daemon did not bind it is somebody else's by now, and is left to them.
            try await override(member, with: recorded.before.driverOverride, context)
            try await restorePower(recorded, context)
        case .failure(.gone), .failure(.replaced), .failure(.open): break
        case .failure(.unknown(let error)):
            throw context.failure(reading: error, of: member)
        }
        try await restoreVirtualFunctions(of: member, context)
        // A device that is gone took its driver, override and power settings along; another in its place is not ours.
        update(member, in: context.group) { $0.isRestored = true }
        do throws(StepFailure) { try save(for: context) } catch {
            update(member, in: context.group) { $0.isRestored = false }
            throw error
        }
    }

    /// Aims the override at the driver that goes home before vfio lets go: without it another driver, or the same vfio
    /// driver, may take the device in between; it gets its old value only when the driver is back
    /// (Documentation/kernel.md, law 6).
    private func restoreDriver(
        _ recorded: ClaimedMember, _ clearance: Clearance, _ context: StepContext
    ) async throws(StepFailure) {
        let member = recorded.address
        switch recorded.before.driver {
        case .named(let driver) where clearance.binding.driver != driver:
            try await override(member, with: driver, context)
            try await leave(recorded, context)
            try await loadDriver(driver, of: recorded, context)
            try await call(.probe(member), about: member, context)
            let now = try await self.binding(of: member, context)?.driver
            guard now == driver else {
                var failure = context.failure(
                    .reason("\(driver) did not take it back" + (now.map { "; it is bound to \($0)" } ?? "")),
                    remedy: "see the kernel's log (dmesg) for why the probe of \(driver) failed")
                failure.isRefusal = true
                throw failure
            }
        case .named: break
        case .none:
            try await override(member, with: Pin.noDriver, context)
            try await leave(recorded, context)
        case .unknown:
            try await override(member, with: recorded.before.driverOverride, context)
            try await leave(recorded, context)
            try await call(.probe(member), about: member, context)
            if let now = try await binding(of: member, context), now.driver == nil {
                // Its driver may never have been loaded.
                try await announce(member, until: { $0.driverLink(of: member) != .driverless }, context)
            }
        }
        try await override(member, with: recorded.before.driverOverride, context)
    }

    /// Unbinds a member from its vfio driver, if it is on it.
    private func leave(_ recorded: ClaimedMember, _ context: StepContext) async throws(StepFailure) {
        let member = recorded.address
        // Anew: writing the override may have waited for long.
        guard case .success(let clearance) = try await clearance(for: recorded, on: [recorded.vfioDriver], context),
            let driver = clearance.binding.driver
        else { return }
        try await call(.unbind(clearance, from: driver), about: member, context)
        guard let now = try await binding(of: member, context), let still = now.driver, still == driver else { return }
        throw context.failure(
            .reason("it is bound to \(still) after it was unbound"), remedy: "find out who binds it again")
    }

    private func restorePower(_ recorded: ClaimedMember, _ context: StepContext) async throws(StepFailure) {
        let member = recorded.address
        guard let now = try await binding(of: member, context) else { return }
        if let before = recorded.before.d3coldAllowed, now.d3coldAllowed != before {
            try await call(.setD3coldAllowed(member, before), about: member, context)
        }
        // With another driver it is that driver's to choose.
        if let before = recorded.before.powerControl, now.powerControl != before,
            recorded.before.driver.name == now.driver
        {
            try await call(.setPowerControl(member, before), about: member, context)
        }
    }
}
