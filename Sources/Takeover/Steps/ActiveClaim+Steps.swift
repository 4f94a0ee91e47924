// Each step makes sure of something: it looks, changes what is not so, and looks again. The kernel's success says
// little (drivers_probe succeeds without binding), so that only what is read back counts.

import EventLoop
import Glibc
import Grouping
import Host
import Inventory
import Registry

extension ActiveClaim {
    /// Takes steps in their order, up to the first that fails.
    func take(
        _ steps: [TakeoverStep], of group: GroupID, deadline: MonotonicTime?
    ) async throws(StepFailure) {
        for (index, step) in steps.enumerated() {
            try await take(step, number: index + 1, of: steps.count, for: group, deadline: deadline)
        }
    }

    /// Takes one step, and shows that it does.
    func take(
        _ step: TakeoverStep, number: Int, of count: Int, for group: GroupID, deadline: MonotonicTime?
    ) async throws(StepFailure) {
        let work = work[group]
        let shown = work?.begin(
            GroupWork.Step(step: step, number: number, count: count, began: host.now, member: step.member))
        defer { work?.end(shown) }
        takeover.condition.signal()
        let context = StepContext(group: group, step: step, deadline: deadline, number: shown)
        switch step {
        case .load(let driver): try await call(.loadModule(driver: driver), about: nil, context)
        case .keepFromD3cold(let member):
            guard try await present(member, context).d3coldAllowed == true else { return }
            try await call(.setD3coldAllowed(member, false), about: member, context)
        case .pin(let member): try await pin(member, context)
        case .look(let forced): try await lookForUses(forced: forced, context)
        case .unbind(let member): try await unbind(member, context)
        case .bind(let member): try await bind(member, context)
        case .own(let number): try await own(kernelGroup: number, context)
        case .prove: try await prove(context)
        case .awaitWorker: try await awaitWorkers(about: nil, context)
        case .takeBackNodes: try await takeBackNodes(context)
        case .awaitOwner: try await awaitOwner(context)
        case .reset(let member): try await reset(member, context)
        case .disown: try await disown(context)
        case .restore(let member): try await restore(member, context)
        }
    }

    /// What is on record of a member.
    func recorded(_ member: DeviceAddress, _ context: StepContext) throws(StepFailure) -> ClaimedMember {
        guard let recorded = self[context.group]?.members.first(where: { $0.address == member }) else {
            throw context.failure(.reason("it is no member any more"), member: member, remedy: "try again")
        }
        return recorded
    }

    private func present(_ member: DeviceAddress, _ context: StepContext) async throws(StepFailure) -> DeviceBinding {
        guard let binding = try await binding(of: member, context) else {
            throw context.failure(
                .reason("the device left the host"), member: member,
                remedy: "see the kernel's log for why it left; without it the group may be claimed")
        }
        return binding
    }

    /// Makes sure of an override; nil for none.
    func override(_ member: DeviceAddress, with name: String?, _ context: StepContext) async throws(StepFailure) {
        let before = try await present(member, context)
        guard before.driverOverride != name else { return }
        try await call(.setDriverOverride(member, name), about: member, context)
        let after = try await present(member, context).driverOverride
        guard after == name else {
            throw context.failure(
                .reason("its driver_override is \(after ?? "empty") after \(name ?? "nothing") was written"),
                member: member, remedy: "find out who else writes it")
        }
    }

    func pin(_ member: DeviceAddress, _ context: StepContext) async throws(StepFailure) {
        guard let pin = try recorded(member, context).pin else { return }
        try await override(member, with: pin, context)
    }

    /// What the host began to use since the claim was asked for refuses it as late as now, when nothing was taken from the
    /// host yet.
    private func lookForUses(forced: [DeviceAddress], _ context: StepContext) async throws(StepFailure) {
        guard let record = takeover.snapshot.group(context.group) else { return }
        let found = await host.uses(of: Preflight.devices(of: [record], in: takeover.snapshot))
        let refusals = Preflight.refusals(takeover.uses([record], found), force: forced)
        guard let first = refusals.first else { return }
        var failure = context.failure(
            .reason("the host began to use it: \(refusals.sentence)"), member: first.device,
            remedy: "\(first.rule.remedy), and claim it again")
        failure.uses = refusals
        throw failure
    }

    private func unbind(_ member: DeviceAddress, _ context: StepContext) async throws(StepFailure) {
        let recorded = try recorded(member, context)
        guard let driver = try await present(member, context).driver, driver != recorded.vfioDriver else { return }
        if let user = await userOfDependents(of: member) {
            throw context.failure(
                .reason(user.sentence), member: member, remedy: "have it let go of, and try again")
        }
        let dependents = takeover.snapshot.inventory.dependents(of: member)
        let clearance: Clearance
        do throws(Obstacle) {
            clearance = try await host.clear(terms(for: recorded, on: [recorded.before.driver.name]))
        } catch {
            if case .open(let holders) = error {
                let wait = wait(for: holders, of: member)
                throw context.failure(.reason(wait.sentence), member: member, remedy: wait.remedy)
            }
            throw context.failure(
                .reason(error.sentence), member: member, remedy: "find out who uses or changes it, and try again")
        }
        do throws(StepFailure) { try await call(.unbind(clearance, from: driver), about: member, context) } catch {
            guard case .errno(ENOENT) = error.cause, host.driverLink(of: member) == .driver(driver)
            else { throw error }
            throw context.failure(
                .reason("\(driver) cannot be made to let go of it: it has no unbind attribute"), member: member,
                remedy: "keep \(driver) from the device when the host boots")
        }
        let after = try await present(member, context)
        noteVirtualFunctions(of: recorded, after, context)
        if let still = after.driver, still != recorded.vfioDriver {
            throw context.failure(
                .reason("it is bound to \(still) after it was unbound"), member: member,
                remedy: "find out who binds it again")
        }
        try checkGone(dependents, with: member, context)
    }

    func bind(_ member: DeviceAddress, _ context: StepContext) async throws(StepFailure) {
        let recorded = try recorded(member, context)
        guard let driver = recorded.vfioDriver else { return }
        let before = try await present(member, context).driver
        guard before != driver else { return }
        if let before {
            throw context.failure(
                .reason("somebody bound it to \(before) meanwhile"), member: member,
                remedy: "find out who, and try again")
        }
        try await call(.probe(member), about: member, context)
        let after = try await present(member, context)
        guard after.driver == driver else {
            throw context.failure(
                .reason("\(driver) did not take it" + (after.driver.map { "; it is bound to \($0)" } ?? "")),
                member: member, remedy: "see the kernel's log for why its probe failed")
        }
        // Nobody can have opened it yet but somebody who waited for just that: then its open shows as usual, and is found by
        // its descriptor alone.
        update(member, in: context.group) { $0.enableCount = after.enableCount }
    }

    /// Looks at every member itself: what was read for the registry may be older.
    private func prove(_ context: StepContext) async throws(StepFailure) {
        for member in self[context.group]?.members ?? [] {
            guard let binding = try await binding(of: member.address, context) else { continue }
            if let wanted = member.vfioDriver, binding.driver != wanted {
                throw context.failure(
                    .reason("it is bound to \(binding.driver ?? "no driver") instead of \(wanted)"),
                    member: member.address, remedy: "find out who changed it, and try again")
            }
            guard let driver = binding.driver, member.isTouched, member.vfioDriver == nil else { continue }
            throw context.failure(
                .reason("it is bound to \(driver) again"), member: member.address, remedy: "find out who binds it")
        }
    }

    /// Waits until nobody but the daemon has a device of the group open.
    private func awaitOwner(_ context: StepContext) async throws(StepFailure) {
        try await awaitWorkers(about: nil, context)
        while true {
            try await awaitOthers(context)
            let isUsed = try await isUsedUnseen(context)
            if !isUsed { return }
            do throws(LoopError) { try await host.sleep(for: takeover.timing.look) } catch {
                throw context.failure(.stopped, remedy: "")
            }
        }
    }

    /// Whether somebody has a device by a descriptor from its group, and nothing else of it: before Linux 6.18 nothing in
    /// /proc says which device that is. Such a descriptor keeps the group from being opened (drivers/vfio/group.c,
    /// vfio_device_group_open), so that having the group again is the proof.
    private func isUsedUnseen(_ context: StepContext) async throws(StepFailure) -> Bool {
        guard consumer != nil, record.access == .container || record.access == .path else { return false }
        // Where `enable` is known, it has told already.
        guard self[context.group]?.members.contains(where: { $0.vfioDriver != nil && $0.enableCount == nil }) == true
        else { return false }
        for number in ownableGroups(of: context.group) {
            do throws(StepFailure) { try await own(kernelGroup: number, context) } catch {
                switch error.cause {
                case .errno where error.isBusy: return true
                // It is not this group's to be owned any more; what that means is seen in the steps that follow.
                case .errno, .reason: return false
                case .blocked, .stopped: throw error
                }
            }
        }
        return false
    }
}
