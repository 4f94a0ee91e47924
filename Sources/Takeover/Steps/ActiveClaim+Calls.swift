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
        worker.go()
        return try await result(of: worker, making: call, about: member, context)
    }

    /// What a call came to. When it is not waited for any longer, its worker stays on record.
    private func result(
        of worker: any KernelWorker, making call: KernelCall, about member: DeviceAddress?, _ context: StepContext
    ) async throws(StepFailure) -> CallYield {
        let outcome = await outcome(of: worker, blockedAfter: takeover.timing.blockedAfter(call), context)
        switch outcome {
        case nil where Task.isCancelled || takeover.isStopped:
            throw context.failure(.stopped, member: member, remedy: "")
        case nil:
            throw context.failure(
                .blocked(pid: worker.id.pid), member: member,
                remedy: "end whoever has the device open; see /proc/\(worker.id.pid)/stack for where it waits")
        case .done(let yield)?:
            hasEnded(worker.id, in: context.group)
            return yield
        case .unknown?:
            // The read-back tells.
            hasEnded(worker.id, in: context.group)
            return .nothing
        case .failed(let errno)?:
            hasEnded(worker.id, in: context.group)
            throw context.failure(.errno(errno), member: member, remedy: Self.remedy(for: errno, context.step))
        }
    }

    /// How the worker's call ended; nil when the deadline has passed or the task was cancelled first.
    private func outcome(
        of worker: any KernelWorker, blockedAfter: Duration, _ context: StepContext
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
                guard await outcome(of: worker, blockedAfter: takeover.timing.blockedAfter, context) != nil else {
                    throw context.failure(.stopped, member: outstanding.member, remedy: "")
                }
            }
            hasEnded(outstanding.process, in: context.group)
        }
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
            throw context.failure(
                .reason(error.description), member: member,
                remedy: "find out what the device is busy with; it is tried again")
        }
    }

    private static func remedy(for errno: Int32, _ step: TakeoverStep) -> String {
        switch errno {
        case EPERM:
            "look whether another program has the group open, and that the daemon may do this; a member on a host "
                + "driver keeps its group from being owned; where the kernel's log speaks of interrupt remapping, "
                + InterruptRemapping.remedy
        case EBUSY: "another program has the group or device open: find it with fuser /dev/vfio/*, and end it"
        case ENODEV, ENXIO: "the device went away or changed meanwhile; try again"
        case ENOMEM, EMFILE, ENFILE: "make memory or descriptors free on the host"
        case ENOENT where step.isLoad: "install the module of the vfio driver for this kernel"
        default: "see the kernel's log for what it says of the device"
        }
    }
}
