// What is done about one member alone: each in a task of its own, begun one after the other. One that sits in the kernel
// is put aside. Its task waits on, and the others go home meanwhile: one stuck member holds only itself.

import EventLoop
import Grouping
import Host
import Inventory
import Registry

/// Something that is being done about a member.
@LoopActor
final class MemberErrand {
    let member: DeviceAddress
    /// Which of the shown steps it is.
    let number: Int
    var task: Task<Void, Never>?
    /// nil while it is not over.
    var result: Result<Void, StepFailure>?

    init(_ member: DeviceAddress, _ number: Int) {
        self.member = member
        self.number = number
    }
}

extension ActiveClaim {
    /// Does something about a member, and waits until it is over or sits in the kernel.
    ///
    /// - Parameters:
    ///   - step: what is done, as it is shown.
    ///   - group: the group of the member.
    ///   - body: does it.
    /// - Throws: what failed, if it is over; that the daemon ends.
    func runErrand(
        _ step: GroupWork.Step, of group: GroupID,
        _ body: @escaping @LoopActor (StepContext) async throws(StepFailure) -> Void
    ) async throws(StepFailure) {
        guard let work = work[group], let member = step.member else { return }
        let isStuckAlready = isStuck(member, in: group)
        let errand = MemberErrand(member, work.begin(step))
        let context = StepContext(group: group, step: step.step, deadline: nil, number: errand.number)
        work.errands.append(errand)
        errand.task = EventLoop.main.spawn { [self] in
            do throws(StepFailure) {
                try await body(context)
                errand.result = .success(())
            } catch { errand.result = .failure(error) }
            work.end(errand.number)
            takeover.condition.signal()
        }
        takeover.condition.signal()
        // A call that has sat in the kernel since before needs no patience.
        if isStuckAlready { return }
        do throws(LoopError) {
            try await takeover.condition.wait {
                errand.result != nil || work[errand.number]?.isBlocked == true || takeover.isStopped
            }
        } catch { throw context.failure(.stopped, remedy: "") }
        guard let result = errand.result else { return }
        work.errands.removeAll { $0 === errand }
        try result.get()
    }

    /// Whether something is being done about a member that was put aside.
    func isAside(_ member: DeviceAddress, in group: GroupID) -> Bool {
        work[group]?.errands.contains { $0.member == member } ?? false
    }

    /// Suspends until one of the errands that were put aside is over; false without any.
    func awaitErrand(of group: GroupID) async throws(StepFailure) -> Bool {
        guard let work = work[group], !work.errands.isEmpty else { return false }
        do throws(LoopError) {
            try await takeover.condition.wait { work.errands.contains { $0.result != nil } || takeover.isStopped }
        } catch { throw Self.stopped(group) }
        if takeover.isStopped { throw Self.stopped(group) }
        return true
    }

    /// Forgets what is over: what came of it shows when it is tried again.
    func forgetErrands(of group: GroupID) { work[group]?.errands.removeAll { $0.result != nil } }

    /// Why members are not back that were put aside.
    func unrestoredErrands(of group: GroupID) -> [Unrestored] {
        guard let work = work[group] else { return [] }
        return work.errands.filter { $0.result == nil }.compactMap { errand in
            guard let step = work[errand.number] else { return nil }
            let context = StepContext(group: group, step: step.step)
            let failure = context.failure(
                step.pid.map { .blocked(pid: $0) } ?? .reason("it is not over yet"), member: errand.member, remedy: "")
            // One that sat in the kernel before it was begun has not come to show its wait.
            let outstanding = self[group]?.workers.first { $0.member == errand.member }
            let wait = step.waitsFor ?? outstanding.map { .call(self.wait(for: $0, in: group)) }
            return Unrestored(device: errand.member, reason: wait?.sentence ?? failure.reason, remedy: wait?.remedy)
        }
    }

    /// Whether a call about a member has not returned that was made before this.
    private func isStuck(_ member: DeviceAddress, in group: GroupID) -> Bool {
        self[group]?.workers.contains { $0.member == member && mayRun($0) } ?? false
    }

    private static func stopped(_ group: GroupID) -> StepFailure {
        StepContext(group: group, step: .awaitOwner).failure(.stopped, remedy: "")
    }
}
