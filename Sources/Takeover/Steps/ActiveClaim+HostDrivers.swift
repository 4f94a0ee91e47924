// The driver that a member goes back to may have left the kernel meanwhile. Its module is loaded again, by the name that
// is on record, or by udev, which knows what fits a device.

import EventLoop
import Grouping
import Host
import Inventory

extension ActiveClaim {
    /// Has the driver of a member in the kernel, as far as that can be had.
    ///
    /// - Throws: that it is not there. What loads a module may say nothing of its failure (`modprobe@.service` does not).
    func loadDriver(_ driver: String, of recorded: ClaimedMember, _ context: StepContext) async throws(StepFailure) {
        let member = recorded.address
        guard host.hasDriver(driver, onBusOf: member) == false else { return }
        var told = ""
        if let module = recorded.before.module {
            do throws(StepFailure) { try await call(.loadModule(driver: module), about: member, context) } catch {
                guard case .errno = error.cause else { throw error }
                told = ": \(error.detail)"
            }
        } else {
            try await announce(member, until: { $0.hasDriver(driver, onBusOf: member) != false }, context)
        }
        guard host.hasDriver(driver, onBusOf: member) == false else { return }
        var failure: StepFailure
        if let module = recorded.before.module {
            failure = context.failure(
                .reason("\(driver), which had it, is not in the kernel, and loading its module did not help\(told)"),
                member: member, remedy: "modprobe \(module) says what is wrong with the module")
        } else {
            failure = context.failure(
                .reason("\(driver), which had it, is not in the kernel, and udev loaded no module that has it"),
                member: member, remedy: "load the module of \(driver) with modprobe")
        }
        failure.isRefusal = true
        throw failure
    }

    /// Has udev look at a member as at a new one, which takes its time.
    func announce(
        _ member: DeviceAddress, until isDone: @LoopActor (any Host) -> Bool, _ context: StepContext
    ) async throws(StepFailure) {
        do throws(StepFailure) { try await call(.announce(member), about: member, context) } catch {
            // Without udev, or on a device that left, it is no worse than before.
            guard case .errno = error.cause else { throw error }
            return
        }
        let deadline = host.now + takeover.timing.nodePatience
        while !isDone(host), host.now < deadline {
            do throws(LoopError) { try await host.sleep(for: .milliseconds(250)) } catch {
                throw context.failure(.stopped, member: member, remedy: "")
            }
        }
    }
}
