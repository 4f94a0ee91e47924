// Watching over held groups: what changed behind the daemon's back is told, and put right where that is safe. Safe is
// what takes a device from nobody: a driverless member is bound to vfio again, a changed pin is set again, a device that
// came into the group is pinned. A host driver is never thrown out.

import EventLoop
import Grouping
import Host
import Inventory
import PCI
import Registry

extension ActiveClaim {
    /// Looks at all held groups, after the host changed.
    func hostChanged() {
        for group in record.groups where group.goal == .hold { look(at: group.id) }
    }

    /// Looks at a group, unless that is being done.
    func look(at id: GroupID) {
        guard let work = work[id], let group = self[id] else { return }
        guard work.task == nil else {
            work.looksAgain = true
            return
        }
        let snapshot = takeover.snapshot
        for member in group.members { work.drivers[member.address] = snapshot.inventory[member.address]?.driver }
        if consumer == nil, ownableGroups(of: id).contains(where: { space.groups[$0] != nil && !isKept($0, of: id) }) {
            beginUnowned(id, cause: Self.lastDriverLost)
        }
        // Of groups that were joined each claim keeps its own.
        let members = snapshot.group(id)?.members.filter { takeover.claim(of: $0.device.address, besides: self) == nil }
        var findings = HoldingFinding.all(of: group, members ?? [], in: snapshot.inventory)
        if let member = unownedMember(of: id) { findings.append(.unowned(member)) } else { work.unowned = nil }
        work.findings = findings
        work.setbacks = work.setbacks.filter { findings.contains($0.key) }
        let leaving = Set(findings.compactMap(\.leaving))
        work.leaving = work.leaving.filter { leaving.contains($0.key) }
        // One that left the host and comes back was not unbound again.
        for case .gone(let member) in findings { work.retaken[member] = nil }
        tellOfLosses(in: group, findings)
        tellProblems(of: work)
        let remediable = findings.filter { $0.isRemediable && (work.setbacks[$0]?.due ?? host.now) <= host.now }
        guard !remediable.isEmpty else { return lookAgainWhenDue(at: id) }
        work.task = EventLoop.main.spawn { [self] in
            for finding in remediable where !Task.isCancelled { await remedy(finding, id) }
            guard !Task.isCancelled else { return }
            work.task = nil
            lookAgainWhenDue(at: id)
            if work.looksAgain {
                work.looksAgain = false
                look(at: id)
            }
        }
    }

    private static let lastDriverLost = "from the loss of its last vfio driver until it was bound to one again"

    /// Shows what is wrong with members, of several things with one the first.
    private func tellProblems(of work: GroupWork) {
        var problems: [DeviceAddress: String] = [:]
        var remedies: [DeviceAddress: String] = [:]
        for finding in work.findings {
            let setback = work.setbacks[finding]
            let member = setback?.member ?? finding.member
            guard problems[member] == nil else { continue }
            remedies[member] = setback?.remedy ?? (finding.isOfOwnership ? work.unowned?.remedy : nil)
            problems[member] =
                switch (work.goneWith[finding] ?? finding.problem, setback?.reason) {
                case (let problem?, let reason?): "\(problem), and taking it again fails: \(reason)"
                case (let problem, let reason):
                    problem ?? reason ?? (finding.isOfOwnership ? work.unowned?.reason : nil)
                }
        }
        for (member, cause) in work.leaving where problems[member] != nil {
            problems[member] = cause
            remedies[member] = nil
        }
        // What is gone does not come back by itself, and its claim keeps its group from others.
        for case .gone(let member) in work.findings {
            problems[member]? += "; vfiogroupctl release \(id) ends its claim"
        }
        guard work.problems != problems || work.remedies != remedies else { return }
        work.problems = problems
        work.remedies = remedies
        takeover.changed()
    }

    /// The first member on vfio of a kernel group that should be owned and is not.
    private func unownedMember(of group: GroupID) -> DeviceAddress? {
        guard consumer == nil, !isHandingOver else { return nil }
        return heldMembers(of: group).first { member in
            guard let device = takeover.snapshot.inventory[member], let number = device.kernelGroup else {
                return false
            }
            return !owns(number) && device.driver == self[group]?.members.first { $0.address == member }?.vfioDriver
        }
    }

    private func remedy(_ finding: HoldingFinding, _ group: GroupID) async {
        do throws(StepFailure) {
            try checkNoCallIsOut(about: finding.member, of: group)
            switch finding {
            case .driverless(let member):
                guard try await retake(member, group) else {
                    work[group]?.setbacks[finding] = nil
                    return
                }
            case .overrideChanged(let member):
                try await pin(member, context(group, .pin(member)))
                takeover.publish(
                    .memberPinned(member, in: group), self,
                    cause: "its driver_override was changed, and is set again")
            case .joined(let member): try await takeIn(member, group)
            case .unowned: try await ownAgain(group)
            case .gone, .replaced, .onDriver: break
            }
            guard let work = work[group] else { return }
            work.findings.removeAll { $0 == finding }
            work.setbacks[finding] = nil
            tellProblems(of: work)
        } catch {
            if case .stopped = error.cause { return }
            guard let work = work[group] else { return }
            work.setbacks[finding] = Setback(
                error, after: work.setbacks[finding], now: host.now, takeover.timing, isEven: finding.isOfOwnership)
            tellProblems(of: work)
        }
    }

    /// One that a try gave up on may sit in the kernel for ever, and another would only wait behind it.
    private func checkNoCallIsOut(about member: DeviceAddress, of group: GroupID) throws(StepFailure) {
        let workers = self[group]?.workers.filter { $0.member == nil || $0.member == member } ?? []
        guard let worker = workers.first(where: mayRun) else { return }
        throw StepFailure(
            group: group, member: worker.member, action: worker.action, cause: .blocked(pid: worker.process.pid),
            remedy: "see /proc/\(worker.process.pid)/stack for where it waits")
    }

    /// Has the kernel refuse host drivers again, which somebody kept the daemon from.
    private func ownAgain(_ group: GroupID) async throws(StepFailure) {
        beginUnowned(group, cause: "from the loss of ownership until the daemon had it again")
        try await regain(group)
        work[group]?.unowned = nil
        saveOrReport()
        takeover.publish(.groupChanged(group), self, cause: "it is owned in the kernel again")
    }

    /// Looks again when the first of what failed is due.
    private func lookAgainWhenDue(at group: GroupID) {
        guard let work = work[group] else { return }
        work.laterLook?.cancel()
        work.laterLook = nil
        guard let due = work.setbacks.values.map(\.due).min() else { return }
        work.laterLook = EventLoop.main.spawn { [weak self, host] in
            do throws(LoopError) { try await host.sleep(until: due) } catch { return }
            guard let self, self[group]?.goal == .hold else { return }
            look(at: group)
        }
    }

    private func context(_ group: GroupID, _ step: TakeoverStep) -> StepContext {
        StepContext(group: group, step: step, deadline: host.now + takeover.timing.patience)
    }

    /// Binds a member to vfio again that has lost it.
    ///
    /// - Returns: whether it is no longer without a driver.
    private func retake(_ member: DeviceAddress, _ group: GroupID) async throws(StepFailure) -> Bool {
        // What led here was read some time ago.
        guard host.driverLink(of: member) == .driverless else {
            takeover.changed()
            return true
        }
        guard try await !isLeaving(member, context(group, .bind(member))) else {
            try await letLeave(member, group)
            return false
        }
        work[group]?.leaving[member] = nil
        guard try await binding(of: member, context(group, .bind(member))) != nil else { return true }
        try checkRetakes(of: member, group)
        try await forgetLostGroup(of: member, group)
        try await pin(member, context(group, .pin(member)))
        try await bind(member, context(group, .bind(member)))
        if consumer == nil { try await regain(group) } else { try await openNodesAgain(group) }
        work[group]?.retaken[member] = host.now
        takeover.publish(
            .memberRetaken(member, in: group), self, cause: "it had lost its vfio driver, and is bound to it again")
        return true
    }

    /// Lets a member leave: what the daemon has open of it would keep a hotplug driver waiting, and with it all hotplug of
    /// the host (pciehp holds the rescan lock meanwhile). Its pin stays. A consumer is only told of: what it has open is its
    /// to close.
    private func letLeave(_ member: DeviceAddress, _ group: GroupID) async throws(StepFailure) {
        let reason = await reasonToLeave(of: member, in: group)
        guard let work = work[group] else { return }
        let isNobodys = whyNobodyUses(member)
        let cause =
            isNobodys.map { "\(reason); \($0), and the daemon lets go of it" }
            ?? "\(reason), which waits until its consumer closes it; other hotplug of the host may wait as well"
        let isNew = work.leaving.updateValue(cause, forKey: member) == nil
        if isNew { tellProblems(of: work) }
        // Whoever gets what is being handed over is to find it open, and is told of right after.
        if !isHandingOver { try await letGo(of: member, in: group) }
        if isNew { takeover.publish(.removalRequested(member, in: group), self, cause: cause) }
    }

    /// Why a member is in nobody's use, as far as was seen, in words; nil where a consumer may have it open.
    private func whyNobodyUses(_ member: DeviceAddress) -> String? {
        guard !isHandingOver, space.cdevs[member] != nil || space.barriers[member] != nil else { return nil }
        guard let consumer else { return "nobody uses it" }
        if record.leftOut.contains(member) { return "it was left out of what its consumer has" }
        // Fresh cdevs are on their way in a socket; nodes are nobody's before somebody opens them.
        return record.access == .path && consumer.sighting == .awaited ? "no consumer has opened its nodes yet" : nil
    }

    /// Closes all that the daemon has open of a member.
    private func letGo(of member: DeviceAddress, in group: GroupID) async throws(StepFailure) {
        let context = context(group, .disown)
        if let barrier = space.barriers.removeValue(forKey: member) {
            try await close(barrier, about: member, context)
        }
        guard space.cdevs[member] != nil else { return }
        try await closeEverywhere([.cdev(member)], context)
        if let number = kernelGroup(of: member), !isKept(number, of: group) {
            beginUnowned(group, cause: "from letting a member leave until the group was owned again")
        }
    }

    /// What was only unbound is taken again, but not as often as somebody unbinds it: he may mean it.
    private func checkRetakes(of member: DeviceAddress, _ group: GroupID) throws(StepFailure) {
        guard let last = work[group]?.retaken[member], host.now < last + takeover.timing.retakeAgain else { return }
        throw context(group, .bind(member)).failure(
            .reason("somebody has unbound it again, less than a minute after the daemon took it again"), member: member,
            remedy: "find out who unbinds it; vfiogroupctl release \(id) leaves it to them")
    }

    /// Whether somebody is unbinding or removing a member whose link is gone, and the kernel waits for the owner to let go:
    /// a descriptor of it is open, or the kernel holds its lock.
    private func isLeaving(_ member: DeviceAddress, _ context: StepContext) async throws(StepFailure) -> Bool {
        let binding: DeviceBinding?
        do throws(HostError) { binding = try await host.readBinding(of: member) } catch {
            if case .deviceBusy = error { return true }
            binding = nil
        }
        // vfio allows a device to sleep for as long as it has it, and forbids it when it has let go. A group that is open
        // keeps none of its devices, so that it tells nothing of a device without vfio.
        if binding?.powerControl == .on { return false }
        if space.cdevs[member] != nil || space.barriers[member] != nil { return true }
        do throws(HostError) { return try await !takeover.holders(of: [member]).isEmpty } catch {
            throw context.failure(
                .reason("who has it open cannot be found out: \(error)"),
                remedy: "make memory or descriptors free on the host; it is tried again")
        }
    }

    /// With the last device of a kernel group vfio's group goes, and the next one has another: what is open of the first
    /// owns nothing any more (Documentation/kernel.md, VFIO in runs: last device unbound with the group fd open).
    private func forgetLostGroup(of member: DeviceAddress, _ group: GroupID) async throws(StepFailure) {
        guard let number = kernelGroup(of: member), space.groups[number] != nil else { return }
        let context = context(group, .own(kernelGroup: number))
        for other in self[group]?.members ?? []
        where other.address != member && kernelGroup(of: other.address) == number {
            guard let wanted = other.vfioDriver else { continue }
            if try await binding(of: other.address, context)?.driver == wanted { return }
        }
        beginUnowned(group, cause: Self.lastDriverLost)
        try await closeEverywhere([.group(number)], context)
        space.groupsWereClosed()
    }

    /// Makes a device that came into a held group a member of the claim.
    private func takeIn(_ member: DeviceAddress, _ group: GroupID) async throws(StepFailure) {
        let context = context(group, .pin(member))
        guard let device = takeover.snapshot.inventory[member],
            let binding = try await binding(of: member, context)
        else { return }
        var claimed = await takeover.record(of: device, binding)
        // What it would have been without the claim is the kernel's to say when the claim is over.
        claimed.before.driver = binding.driver.map { .named($0) } ?? .unknown
        update(group) { group in
            if !group.members.contains(where: { $0.address == member }) { group.members.append(claimed) }
        }
        do throws(StepFailure) { try save(for: context) } catch {
            update(group) { $0.members.removeAll { $0.address == member } }
            throw error
        }
        takeover.publish(
            .memberAdded(member, to: group), self,
            cause: binding.driver.map { "it came into a claimed group, and is bound to \($0)" }
                ?? "it came into a claimed group, and is the owner's too")
        guard claimed.isTouched, binding.driver == nil else { return }
        try await pin(member, context)
        try await bind(member, self.context(group, .bind(member)))
    }
}

extension HoldingFinding {
    /// Whether something can be done about it that takes nothing from anybody.
    fileprivate var isRemediable: Bool {
        switch self {
        case .driverless, .overrideChanged, .joined, .unowned: true
        case .gone, .replaced, .onDriver: false
        }
    }

    /// Whether the kernel would let host drivers in.
    fileprivate var isOfOwnership: Bool { if case .unowned = self { true } else { false } }

    fileprivate var leaving: DeviceAddress? { if case .driverless(let member) = self { member } else { nil } }
}
