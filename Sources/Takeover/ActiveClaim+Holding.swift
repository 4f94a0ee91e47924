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
        let findings = HoldingFinding.all(of: group, snapshot.group(id)?.members ?? [], in: snapshot.inventory)
        var problems = problems(of: findings)
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

    private static let leaving = "somebody wants it to leave, and waits for it to be let go of"

    private func problems(of findings: [HoldingFinding]) -> [DeviceAddress: String] {
        var problems: [DeviceAddress: String] = [:]
        for finding in findings {
            switch finding {
            case .gone(let member): problems[member] = "the device left the host"
            case .replaced(let member): problems[member] = "another device has its address now"
            case .driverless(let member): problems[member] = "it lost its vfio driver"
            case .onDriver(let member, let driver): problems[member] = "it is bound to \(driver)"
            case .overrideChanged, .joined: break
            }
        }
        return problems
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
            case .gone, .replaced, .onDriver: break
            }
        } catch {
            if case .stopped = error.cause { return }
            // Tried again when something about it changes, not in circles.
            work[group]?.hopeless.insert(finding)
            if let member = error.member { work[group]?.problems[member] = error.reason }
            takeover.changed()
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
        let isOpen = await !host.holders(of: [member]).filter { $0.device == member }.isEmpty
        guard !isOpen, space.cdevs[member] == nil else {
            work[group]?.problems[member] = Self.leaving
            takeover.changed()
            if work[group]?.leaving.insert(member).inserted == true {
                takeover.publish(
                    .removalRequested, self, group, member,
                    cause: "it is being unbound or removed, which waits until its descriptors are closed")
            }
            return
        }
        try await pin(member, context(group, .pin(member)))
        try await bind(member, context(group, .bind(member)))
        if let number = kernelGroup(of: member), handedOver == nil, !owns(number) {
            try await own(kernelGroup: number, context(group, .own(kernelGroup: number)))
        }
        work[group]?.problems[member] = nil
        takeover.publish(
            .memberRetaken, self, group, member, cause: "it had lost its vfio driver, and is bound to it again")
        takeover.changed()
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
        do throws(JournalError) { try save() } catch {
            update(group) { $0.members.removeAll { $0.address == member } }
            throw context.failure(
                .reason("it cannot be put on record: \(error)"), remedy: "make room in the state directory")
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
        case .driverless, .overrideChanged, .joined: true
        case .gone, .replaced, .onDriver: false
        }
    }

    fileprivate var leaving: DeviceAddress? { if case .driverless(let member) = self { member } else { nil } }
}
