// Calls into the kernel: on record before they are made, made by a worker, and waited for without end or up to a
// deadline.

import EventLoop
import Glibc
import Grouping
import Host
import Inventory

/// Where a step stands: what its calls are about, and until when they may take.
struct StepContext: Sendable {
    var group: GroupID
    var step: TakeoverStep
    /// nil on the way back: nothing is too long there.
    var deadline: MonotonicTime?
    /// Which of the steps that are shown it is; nil for one that is not shown.
    var number: Int?

    func failure(_ cause: StepFailure.Cause, member: DeviceAddress? = nil, remedy: String) -> StepFailure {
        StepFailure(
            group: group, member: member ?? step.member, action: step.action, cause: cause, remedy: remedy)
    }

    /// What is asked of a device does not come now.
    func failure(reading error: HostError, of member: DeviceAddress) -> StepFailure {
        failure(
            .reason(error.description), member: member,
            remedy: "find out what the device is busy with; it is tried again")
    }
}

extension ActiveClaim {
    /// Has a worker make a call.
    @discardableResult
    func call(_ call: KernelCall, about member: DeviceAddress?, _ context: StepContext) async throws(StepFailure)
        -> CallYield
    {
        if Task.isCancelled || takeover.isStopped { throw context.failure(.stopped, member: member, remedy: "") }
        let worker: any KernelWorker
        do throws(HostError) { worker = try host.prepare(call) } catch {
            throw context.failure(
                .reason("no worker can be made: \(error)"), member: member,
                remedy: "look whether the host runs out of processes or memory")
        }
        update(context.group) { group in
            group.workers.append(
                OutstandingWorker(process: worker.id, action: context.step.action, member: member))
        }
        do throws(StepFailure) { try save(for: context, member: member) } catch {
            // The worker ends without its call.
            hasEnded(worker.id, in: context.group)
            throw error
        }
        if let clearance = call.clearance, !host.stillHolds(clearance) {
            hasEnded(worker.id, in: context.group)
            throw context.failure(
                .reason("somebody else bound, unbound or opened it at the last moment"), member: member,
                remedy: "nothing was done to it; it is looked at again")
        }
        worker.go()
        return try await result(of: worker, making: call, about: member, context)
    }

    /// What a call came to. When it is not waited for any longer, its worker stays on record.
    private func result(
        of worker: any KernelWorker, making call: KernelCall, about member: DeviceAddress?, _ context: StepContext
    ) async throws(StepFailure) -> CallYield {
        let wait = CallWait(
            member: member, driver: call.driverToLeave, pid: worker.id.pid,
            limit: context.deadline == nil ? nil : takeover.timing.patience)
        let began = host.now
        let outcome = await outcome(
            of: worker, blockedAfter: takeover.timing.blockedAfter(call), showing: wait, context)
        switch outcome {
        case nil where Task.isCancelled || takeover.isStopped:
            throw context.failure(.stopped, member: member, remedy: "")
        case nil:
            let (explanation, remedy) = wait.failing(after: began.duration(until: host.now))
            var failure = context.failure(.blocked(pid: worker.id.pid), member: member, remedy: remedy)
            failure.explanation = explanation
            throw failure
        case .done(let yield)?:
            hasEnded(worker.id, in: context.group)
            return yield
        case .unknown?:
            // The read-back tells.
            hasEnded(worker.id, in: context.group)
            return .nothing
        case .failed(let errno)?:
            hasEnded(worker.id, in: context.group)
            throw await failure(errno, of: call, about: member, context)
        }
    }

    /// How the worker's call ended.
    ///
    /// - Parameters:
    ///   - worker: makes the call.
    ///   - blockedAfter: how long calls like it take.
    ///   - wait: what is shown of it when it takes longer.
    ///   - context: the step that it is part of.
    /// - Returns: nil when the deadline has passed or the task was cancelled first.
    private func outcome(
        of worker: any KernelWorker, blockedAfter: Duration, showing wait: CallWait, _ context: StepContext
    ) async -> CallOutcome? {
        let host = host
        let waiting = EventLoop.main.spawn { () -> CallOutcome? in
            do throws(LoopError) { return try await worker.outcome() } catch { return nil }
        }
        let work = work[context.group]
        work?[context.number]?.pid = worker.id.pid
        let watch = EventLoop.main.spawn { [weak self] in
            do throws(LoopError) {
                try await host.sleep(for: blockedAfter)
                work?[context.number]?.isBlocked = true
                work?[context.number]?.waitsFor = .call(wait)
                self?.takeover.changed()
                guard let deadline = context.deadline else { return }
                try await host.sleep(until: deadline)
                waiting.cancel()
            } catch {}
        }
        takeover.waits.insert(waiting)
        defer {
            watch.cancel()
            takeover.waits.remove(waiting)
            work?[context.number]?.pid = nil
            if work?[context.number]?.isBlocked == true {
                work?[context.number]?.isBlocked = false
                work?[context.number]?.waitsFor = nil
                takeover.changed()
            }
        }
        return await withTaskCancellationHandler {
            await waiting.value
        } onCancel: {
            waiting.cancel()
        }
    }

    /// Waits for the workers that are on record of a member, or with nil of its group as a whole: those that a claim gave
    /// up on, and a predecessor's. Those of other members are for their own steps to wait for.
    func awaitWorkers(about member: DeviceAddress?, _ context: StepContext) async throws(StepFailure) {
        while let outstanding = self[context.group]?.workers.first(where: { $0.member == member }) {
            if let worker = try await find(outstanding, context) {
                let wait = wait(for: outstanding, in: context.group)
                // It is the call before that is waited for, whatever is to be done afterwards.
                let own = work[context.group]?[context.number]?.step
                work[context.group]?[context.number]?.step = .awaitWorker(
                    action: outstanding.action, outstanding.member)
                showWait(.call(wait), context)
                defer {
                    if let own { work[context.group]?[context.number]?.step = own }
                    showWait(nil, context)
                }
                guard
                    await outcome(of: worker, blockedAfter: takeover.timing.blockedAfter, showing: wait, context) != nil
                else {
                    throw context.failure(.stopped, member: outstanding.member, remedy: "")
                }
            }
            hasEnded(outstanding.process, in: context.group)
        }
    }

    /// The wait for a call that is on record.
    func wait(for outstanding: OutstandingWorker, in group: GroupID) -> CallWait {
        let recorded = self[group]?.members.first { $0.address == outstanding.member }
        // Nothing but the unbind from a host driver is on record so.
        let isUnbind = outstanding.action == TakeoverStep.unbindAction
        return CallWait(
            member: outstanding.member, driver: isUnbind ? recorded?.before.driver.name : nil,
            pid: outstanding.process.pid)
    }

    /// A worker that is on record; nil when it has ended. While that cannot be found out, its call may be in the kernel.
    private func find(
        _ outstanding: OutstandingWorker, _ context: StepContext
    ) async throws(StepFailure) -> (any KernelWorker)? {
        while true {
            do throws(HostError) { return try host.findWorker(outstanding.process) } catch {
                takeover.report(
                    "claim \(id): whether a worker has ended cannot be found out, and is asked again: \(error)")
            }
            do throws(LoopError) { try await host.sleep(for: takeover.timing.lastRetry) } catch {
                throw context.failure(.stopped, member: outstanding.member, remedy: "")
            }
        }
    }

    /// Whether a worker may still be in the kernel.
    func mayRun(_ worker: OutstandingWorker) -> Bool {
        do throws(HostError) { return try host.findWorker(worker.process) != nil } catch { return true }
    }

    private func hasEnded(_ worker: ProcessIdentity, in group: GroupID) {
        update(group) { group in group.workers.removeAll { $0.process == worker } }
    }

    /// Reads what a takeover changes in a member; nil when the device is gone.
    func binding(of member: DeviceAddress, _ context: StepContext) async throws(StepFailure) -> DeviceBinding? {
        do throws(HostError) {
            let binding = try await host.readBinding(of: member)
            work[context.group]?.drivers[member] = binding?.driver
            return binding
        } catch {
            throw context.failure(reading: error, of: member)
        }
    }

    /// The kernel's refusal of a call. Who has what is in use is named, where that can be seen.
    private func failure(
        _ errno: Int32, of call: KernelCall, about member: DeviceAddress?, _ context: StepContext
    ) async -> StepFailure {
        var failure = context.failure(
            .errno(errno), member: member, remedy: remedy(for: errno, call, context))
        guard errno == EBUSY else { return failure }
        let members = self[context.group]?.members.map(\.address) ?? []
        let found = (try? await takeover.holders(of: members)) ?? []
        let holders = found.filter { $0.process != nil }
        guard let first = holders.first else { return failure }
        let wait = wait(for: holders.filter { $0.device == first.device }, of: first.device)
        failure.explanation = "\(KernelError(errno)): \(wait.sentence)"
        failure.remedy = wait.remedy
        return failure
    }

    private func remedy(for errno: Int32, _ call: KernelCall, _ context: StepContext) -> String {
        switch errno {
        case EPERM:
            "look whether another program has the group open, and that the daemon may do this; a member on a host "
                + "driver keeps its group from being owned; where the kernel's log speaks of interrupt remapping, "
                + InterruptRemapping.remedy
        case EBUSY:
            "another program has the group or device open: find it with fuser -v \(call.nodesInDev), and end it"
        case ENODEV, ENXIO: "the device went away or changed meanwhile; try again"
        case ENOMEM, EMFILE, ENFILE: "make memory or descriptors free on the host"
        case ENOENT where context.step.isLoad: "install the module of the vfio driver for this kernel"
        default: "see the kernel's log for what it says of the device"
        }
    }
}

extension KernelCall {
    /// The nodes of the interface that it uses, for a shell. Who has a device by one interface keeps others from it by both.
    fileprivate var nodesInDev: String {
        switch self {
        case .open(.cdev): "/dev/vfio/devices/* /dev/vfio/*"
        case .open(.group(let number)): "/dev/vfio/\(number) /dev/vfio/devices/*"
        case .bindIOMMUFD, .attach, .detach, .isBound: "/dev/vfio/devices/* /dev/vfio/*"
        default: "/dev/vfio/* /dev/vfio/devices/*"
        }
    }
}
