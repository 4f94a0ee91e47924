// Watching over held groups: what changed behind the daemon's back is told, and put right where that is safe. Safe is
// what takes a device from nobody: a driverless member is bound to vfio again, a changed pin is set again, a device that
// came into the group is pinned. A host driver is never thrown out.

import EventLoop
import Grouping
import Host
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
        let snapshot = takeover.snapshot()
        for member in group.members { work.drivers[member.address] = snapshot.inventory[member.address]?.driver }
        if handedOver == nil, ownableGroups(of: id).contains(where: { space.groups[$0] != nil && !isOwned($0, of: id) })
        {
            beginUnowned(id, cause: Self.lastDriverLost)
        }
        var findings = HoldingFinding.all(of: group, snapshot.group(id)?.members ?? [], in: snapshot.inventory)
        if let member = unownedMember(of: id) { findings.append(.unowned(member)) } else { work.unowned = nil }
        var problems = problems(of: findings)
        for case .unowned(let member) in findings where problems[member] == nil { problems[member] = work.unowned }
        for member in work.leaving where problems[member] != nil { problems[member] = Self.leaving }
        if work.problems != problems {
            work.problems = problems
            takeover.changed()
        }
        let present = Set(findings.compactMap(\.leaving))
        work.leaving.formIntersection(present)
        let remediable = findings.filter { $0.isRemediable && !work.hopeless.contains($0) }
        work.hopeless.formIntersection(findings)
        guard !remediable.isEmpty else { return }
        work.task = EventLoop.main.spawn { [self] in
            for finding in remediable where !Task.isCancelled { await remedy(finding, id) }
            guard !Task.isCancelled else { return }
            work.task = nil
            if work.looksAgain {
                work.looksAgain = false
                look(at: id)
            }
        }
    }

    private static let lastDriverLost = "from the loss of its last vfio driver until it was bound to one again"
    private static let leaving = "somebody wants it to leave, and waits for it to be let go of"

    private func problems(of findings: [HoldingFinding]) -> [DeviceAddress: String] {
        var problems: [DeviceAddress: String] = [:]
        for finding in findings {
            switch finding {
            case .gone(let member): problems[member] = "the device left the host"
            case .replaced(let member): problems[member] = "another device has its address now"
            case .driverless(let member): problems[member] = "it lost its vfio driver"
            case .onDriver(let member, let driver): problems[member] = "it is bound to \(driver)"
            case .overrideChanged, .joined, .unowned: break
            }
        }
        return problems
    }

    /// The first member on vfio of a kernel group that should be owned and is not.
    private func unownedMember(of group: GroupID) -> DeviceAddress? {
        guard handedOver == nil, !isHandingOver else { return nil }
        return heldMembers(of: group).first { member in
            guard let device = takeover.snapshot().inventory[member], let number = device.kernelGroup else {
                return false
            }
            return !owns(number) && device.driver == self[group]?.members.first { $0.address == member }?.vfioDriver
        }
    }

    private func remedy(_ finding: HoldingFinding, _ group: GroupID) async {
        do throws(StepFailure) {
            switch finding {
            case .driverless(let member): try await retake(member, group)
            case .overrideChanged(let member):
                try await pin(member, context(group, .pin(member)))
                takeover.publish(
                    .memberDriverChanged, self, group, member,
                    cause: "its driver_override was changed, and is set again")
            case .joined(let member): try await takeIn(member, group)
            case .unowned: try await ownAgain(group)
            case .gone, .replaced, .onDriver: break
            }
        } catch {
            if case .stopped = error.cause { return }
            // Tried again when something about it changes, not in circles.
            work[group]?.hopeless.insert(finding)
            if let member = error.member ?? finding.unowned { work[group]?.problems[member] = error.reason }
            takeover.changed()
            if finding.unowned != nil {
                work[group]?.unowned = error.reason
                // Nothing tells when a program closes what it had open.
                lookLater(at: group, again: finding)
            }
        }
    }

    /// Has the kernel refuse host drivers again, which somebody kept the daemon from.
    private func ownAgain(_ group: GroupID) async throws(StepFailure) {
        beginUnowned(group, cause: "from the loss of ownership until the daemon had it again")
        try await regain(group)
        work[group]?.unowned = nil
        saveOrReport()
        takeover.publish(.claimChanged, self, group, cause: "it is owned in the kernel again")
    }

    private func lookLater(at group: GroupID, again finding: HoldingFinding) {
        guard let work = work[group] else { return }
        work.laterLook?.cancel()
        work.laterLook = EventLoop.main.spawn { [weak self, host, pause = takeover.timing.ownAgain] in
            do throws(LoopError) { try await host.sleep(for: pause) } catch { return }
            guard let self, self[group]?.goal == .hold else { return }
            work.hopeless.remove(finding)
            look(at: group)
        }
    }

    private func context(_ group: GroupID, _ step: TakeoverStep) -> StepContext {
        StepContext(group: group, step: step, deadline: host.now + takeover.timing.patience)
    }

    /// Binds a member to vfio again that has lost it. With its link gone and a descriptor of it open, somebody is
    /// unbinding or removing it, and the kernel waits for the owner to let go.
    private func retake(_ member: DeviceAddress, _ group: GroupID) async throws(StepFailure) {
        // What led here was read some time ago.
        guard let binding = try await binding(of: member, context(group, .bind(member))), binding.driver == nil else {
            return takeover.changed()
        }
        let isOpen = await !takeover.holders(of: [member]).filter { $0.device == member }.isEmpty
        guard !isOpen, space.cdevs[member] == nil, space.barriers[member] == nil else {
            work[group]?.problems[member] = Self.leaving
            takeover.changed()
            if work[group]?.leaving.insert(member).inserted == true {
                takeover.publish(
                    .removalRequested, self, group, member,
                    cause: "it is being unbound or removed, which waits until its descriptors are closed")
            }
            return
        }
        try await forgetLostGroup(of: member, group)
        try await pin(member, context(group, .pin(member)))
        try await bind(member, context(group, .bind(member)))
        if handedOver == nil { try await regain(group) }
        work[group]?.problems[member] = nil
        takeover.publish(
            .memberRetaken, self, group, member, cause: "it had lost its vfio driver, and is bound to it again")
        takeover.changed()
    }

    /// With the last device of a kernel group vfio's group goes, and the next one has another: what is open of the first
    /// owns nothing any more (facts/vm-lab.md: last device unbound with the group fd open).
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
        guard let device = takeover.snapshot().inventory[member],
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
            .memberAdded, self, group, member,
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

    fileprivate var unowned: DeviceAddress? { if case .unowned(let member) = self { member } else { nil } }

    fileprivate var leaving: DeviceAddress? { if case .driverless(let member) = self { member } else { nil } }
}
