// A claim that is being worked on: what is on record of it, what the daemon has open for it, and what is going on with
// each of its groups. Its work is in the files beside this one, by topic.

import EventLoop
import Files
import Grouping
import Host
import Inventory
import Registry

/// A claim and all that is done about it.
@LoopActor
final class ActiveClaim {
    let takeover: Takeover
    /// What is on record, and perhaps what is new since.
    var record: Claim
    /// What is going on with each group.
    var work: [GroupID: GroupWork] = [:]
    /// Groups of it that are back with the host, for whom asked for that.
    var returned: [ClaimView.Group] = []
    /// The I/O address space of the claim and what keeps its groups owned.
    var space = AddressSpace()
    /// Who its groups were handed over to; nil while the daemon has them.
    var consumer: Consumer?
    /// What its owner had, while what is to be handed over now is being made.
    var accessBefore: Access?
    /// Who gets what is to be handed over may have to bind it, and nobody else may.
    var isHandingOver: Bool { accessBefore != nil }
    /// The owner's process has ended.
    var ownerEnded = false
    /// What of it the store of descriptors has.
    var stored: Set<StoredItem> = []
    /// The owner's process, as a descriptor; nil before it is watched.
    var owner: KernelFile?
    /// Whose task waits for the owner's end.
    var ownerTask: Task<Void, Never>?
    /// The task that takes groups for it.
    var taking: Task<StepFailure?, Never>?
    /// It is on record in the journal: anything may be done about it.
    var isRecorded = false

    var id: String { record.id }
    var host: any Host { takeover.host }

    init(_ record: Claim, of takeover: Takeover) {
        self.record = record
        self.takeover = takeover
        for group in record.groups { work[group.id] = GroupWork() }
    }

    /// A group of it.
    subscript(_ id: GroupID) -> ClaimedGroup? { record.groups.first { $0.id == id } }

    /// Changes what is on record of a group.
    func update(_ id: GroupID, _ change: (inout ClaimedGroup) -> Void) {
        guard let index = record.groups.firstIndex(where: { $0.id == id }) else { return }
        change(&record.groups[index])
    }

    /// Changes what is on record of a member.
    func update(_ member: DeviceAddress, in group: GroupID, _ change: (inout ClaimedMember) -> Void) {
        update(group) { group in
            guard let index = group.members.firstIndex(where: { $0.address == member }) else { return }
            change(&group.members[index])
        }
    }

    /// Puts it on record as it is now.
    func save() throws(FileFailure) {
        try takeover.journal.save(record)
        isRecorded = true
    }

    /// Puts it on record for a step, which cannot be taken otherwise.
    func save(for context: StepContext, member: DeviceAddress? = nil) throws(StepFailure) {
        do throws(FileFailure) { try save() } catch {
            throw context.failure(
                .reason("it cannot be put on record: \(error)"), member: member,
                remedy: "make room in the state directory")
        }
    }

    /// Puts it on record between the steps of a group.
    func save(about group: GroupID) throws(StepFailure) {
        do throws(FileFailure) { try save() } catch {
            throw StepFailure(
                group: group, member: nil, action: "record", cause: .reason(error.description),
                remedy: "make room in the state directory")
        }
    }

    /// Puts it on record where going on without is better than not to: the next write tries again.
    func saveOrReport() {
        do throws(FileFailure) { try save() } catch { takeover.report("claim \(id): \(error)") }
    }

    /// What is going on with a group, for the registry.
    func state(of group: ClaimedGroup) -> GroupState {
        switch group.goal {
        case .take: return .claiming
        case .hold:
            let problems = work[group.id]?.problems ?? [:]
            let reasons =
                record.notUnderstood
                + problems.sorted { $0.key < $1.key }.map { member, problem in
                    "\(member): \(problem)" + (work[group.id]?.remedies[member].map { "; \($0)" } ?? "")
                }
            return reasons.isEmpty ? .claimed : .degraded(reason: reasons.joined(separator: "; "))
        case .restore:
            if let setback = work[group.id]?.setback { return .restoring(reason: setback.sentence) }
            return .releasing
        }
    }

    /// Ends all work and leaves everything as it is, for a daemon that ends.
    func stop() {
        ownerTask?.cancel()
        taking?.cancel()
        for work in work.values {
            work.task?.cancel()
            work.laterLook?.cancel()
            for errand in work.errands { errand.task?.cancel() }
        }
    }
}

/// What is going on with a group of a claim.
@LoopActor
final class GroupWork {
    /// A step that is being taken.
    struct Step {
        var step: TakeoverStep
        /// From 1.
        var number: Int
        var count: Int
        var began: MonotonicTime
        /// The member that it is about.
        var member: DeviceAddress?
        /// The worker, while it makes a call.
        var pid: Int32?
        /// The call has taken longer than calls take.
        var isBlocked = false
        /// Who it waits for before it touches a member, or which call does not return.
        var waitsFor: Wait?
    }

    /// The steps that are being taken, by numbers that rise: one, and those of errands that were put aside.
    private(set) var steps: [Int: Step] = [:]
    private var lastStep = 0
    /// What is done about single members apart from the others.
    var errands: [MemberErrand] = []
    /// The drivers that members had when they were last looked at: sooner than the registry hears of them.
    var drivers: [DeviceAddress: String] = [:]
    /// What is wrong with members while the group is held, in words.
    var problems: [DeviceAddress: String] = [:]
    /// What is known to help against it, of those members where something is.
    var remedies: [DeviceAddress: String] = [:]
    /// What the way back failed at when it was last tried.
    var setback: RestoreSetback?
    /// Somebody asked for the way back to be tried again at once.
    var isAskedToRetry = false
    /// The members that are not back yet, with the reason, after a try.
    var unrestored: [Unrestored] = []
    /// The task that works on the group.
    var task: Task<Void, Never>?
    /// When a host driver could first have come in; nil while the group is owned.
    var unownedSince: MonotonicTime?
    /// Why the group is not owned though it should be.
    var unowned: StepFailure?
    /// When members were last taken again that had lost their driver.
    var retaken: [DeviceAddress: MonotonicTime] = [:]
    /// Devices that somebody wants to leave, each with why, so that each is announced once.
    var leaving: [DeviceAddress: String] = [:]
    /// The functions whose drivers members depend on.
    var makers: [DeviceAddress: Maker] = [:]
    /// With what members went, in words, of those that went with the driver of such a function.
    var goneWith: [HoldingFinding: String] = [:]
    /// What was found when the group was last looked at, without what has been put right since.
    var findings: [HoldingFinding] = []
    /// What of it could not be put right.
    var setbacks: [HoldingFinding: Setback] = [:]
    /// Looks at the group again when a further try is due.
    var laterLook: Task<Void, Never>?
    /// The host changed while the group was worked on.
    var looksAgain = false

    nonisolated init() {}

    /// The step to show: the one that goes on, or the one that has been blocked the longest.
    var step: Step? {
        let all = steps.sorted { $0.key < $1.key }.map(\.value)
        return all.first { !$0.isBlocked } ?? all.first
    }

    /// Whether all that is being done sits in the kernel.
    var isBlocked: Bool { !steps.isEmpty && steps.values.allSatisfy(\.isBlocked) }

    /// A step is taken from now on; the number that it has.
    func begin(_ step: Step) -> Int {
        lastStep += 1
        steps[lastStep] = step
        return lastStep
    }

    func end(_ number: Int?) { if let number { steps[number] = nil } }

    /// A step that is being taken; nil when it has ended.
    subscript(_ number: Int?) -> Step? {
        get { number.flatMap { steps[$0] } }
        set { if let number, steps[number] != nil { steps[number] = newValue } }
    }
}
