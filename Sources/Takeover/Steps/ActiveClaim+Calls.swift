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

    func failure(_ cause: StepFailure.Cause, member: DeviceAddress? = nil, remedy: String) -> StepFailure {
        StepFailure(
            group: group, member: member ?? step.member, action: step.action, cause: cause, remedy: remedy)
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
            group.worker = OutstandingWorker(process: worker.id, action: context.step.action, member: member)
        }
        do throws(StepFailure) { try save(for: context, member: member) } catch {
            // The worker ends without its call.
            update(context.group) { $0.worker = nil }
            throw error
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
            let elapsed = Duration.nanoseconds(Int64(clamping: host.now.nanoseconds - began.nanoseconds))
            let (explanation, remedy) = wait.failing(after: elapsed)
            var failure = context.failure(.blocked(pid: worker.id.pid), member: member, remedy: remedy)
            failure.explanation = explanation
            throw failure
        case .done(let yield)?:
            update(context.group) { $0.worker = nil }
            return yield
        case .unknown?:
            // The read-back tells.
            update(context.group) { $0.worker = nil }
            return .nothing
        case .failed(let errno)?:
            update(context.group) { $0.worker = nil }
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
        work?.step?.pid = worker.id.pid
        let watch = EventLoop.main.spawn { [weak self] in
            do throws(LoopError) {
                try await host.sleep(for: blockedAfter)
                work?.step?.isBlocked = true
                work?.step?.waitsFor = .call(wait)
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
            work?.step?.pid = nil
            if work?.step?.isBlocked == true {
                work?.step?.isBlocked = false
                work?.step?.waitsFor = nil
                takeover.changed()
            }
        }
        return await withTaskCancellationHandler {
            await waiting.value
        } onCancel: {
            waiting.cancel()
        }
    }

    /// Waits for the worker that is on record of a group: one that a claim gave up on, or a predecessor's.
    func awaitWorker(of group: GroupID, _ context: StepContext) async throws(StepFailure) {
        guard let outstanding = self[group]?.worker else { return }
        if let worker = host.findWorker(outstanding.process) {
            let member = self[group]?.members.first { $0.address == outstanding.member }
            // Nothing but the unbind from a host driver is on record so.
            let isUnbind = outstanding.action == TakeoverStep.unbindAction
            let wait = CallWait(
                member: outstanding.member, driver: isUnbind ? member?.before.driver.name : nil,
                pid: outstanding.process.pid)
            showWait(.call(wait), of: group)
            defer { showWait(nil, of: group) }
            guard
                await outcome(of: worker, blockedAfter: takeover.timing.blockedAfter, showing: wait, context) != nil
            else {
                throw context.failure(.stopped, member: outstanding.member, remedy: "")
            }
        }
        update(group) { $0.worker = nil }
    }

    /// Reads what a takeover changes in a member; nil when the device is gone.
    func binding(of member: DeviceAddress, _ context: StepContext) async throws(StepFailure) -> DeviceBinding? {
        do throws(HostError) {
            let binding = try await host.readBinding(of: member)
            work[context.group]?.drivers[member] = binding?.driver
            return binding
        } catch {
            throw context.failure(
                .reason(error.description), member: member,
                remedy: "find out what the device is busy with; it is tried again")
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
        let holders = await takeover.holders(of: members).filter { $0.process != nil }
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
