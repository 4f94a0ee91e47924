// The virtual functions of a member that has a host driver: they go with it, and as many are made again when it is back.
// What was set for them (MAC addresses, VLANs, drivers) is in no place that the daemon can read.

import EventLoop
import Glibc
import Host
import Inventory
import Registry

extension ActiveClaim {
    /// Notes that an unbind took virtual functions along.
    func noteVirtualFunctions(of recorded: ClaimedMember, _ after: DeviceBinding, _ context: StepContext) {
        guard let count = recorded.before.virtualFunctions, count > 0, after.virtualFunctionCount == 0 else { return }
        update(recorded.address, in: context.group) { $0.virtualFunctions = .gone }
    }

    /// Makes sure that functions of the group went with a member's driver: a driver may leave its virtual functions behind.
    func checkGone(
        _ dependents: [DeviceAddress], with member: DeviceAddress, _ context: StepContext
    ) throws(StepFailure) {
        let snapshot = takeover.snapshot
        for dependent in dependents {
            let isHere = host.driverLink(of: dependent).map { $0 != .noDevice } ?? false
            guard isHere, snapshot.group(of: dependent)?.id == context.group else { continue }
            throw context.failure(
                .reason("its driver let go of it, and \(dependent) is still there"), member: member,
                remedy: "write 0 to sriov_numvfs of \(member) first, and claim the group again")
        }
    }

    /// Has a member that is back on its host driver make as many virtual functions as it had, if it has none.
    func restoreVirtualFunctions(of member: DeviceAddress, _ context: StepContext) async throws(StepFailure) {
        let recorded = try recorded(member, context)
        guard let count = recorded.before.virtualFunctions, count > 0,
            case .named(let driver) = recorded.before.driver
        else { return }
        var terms = terms(for: recorded, on: [driver])
        // A host driver enables it, too.
        terms.enableCount = nil
        let clearance: Clearance
        do throws(Obstacle) { clearance = try await host.clear(terms) } catch {
            if case .unknown(let error) = error { throw context.failure(reading: error, of: recorded.address) }
            return settle(.notMade(reason: error.sentence), of: recorded, context)
        }
        let now = clearance.binding.virtualFunctionCount ?? 0
        guard now == 0 else {
            return settle(
                now == count ? .madeAgain : .notMade(reason: "somebody made \(now) meanwhile"), of: recorded, context)
        }
        // On record with the call: who finds them there later knows that they are not the old ones.
        update(member, in: context.group) { $0.virtualFunctions = .madeAgain }
        do throws(StepFailure) { try await call(.setVirtualFunctions(clearance, count), about: member, context) } catch
        {
            update(member, in: context.group) { $0.virtualFunctions = .gone }
            guard case .errno(ENOENT) = error.cause else { throw error }
            // They were made by a parameter of the module, or by a tool of its own.
            let reason = "\(driver) makes none by sriov_numvfs"
            return update(member, in: context.group) { $0.virtualFunctions = .notMade(reason: reason) }
        }
        let made = try await binding(of: member, context)?.virtualFunctionCount ?? 0
        guard made > 0 else {
            update(member, in: context.group) { $0.virtualFunctions = .gone }
            throw context.failure(
                .reason("\(driver) made none of its \(count) virtual functions"),
                remedy: "see the kernel's log for why; it is tried again")
        }
        if made != count {
            update(member, in: context.group) {
                $0.virtualFunctions = .notMade(reason: "\(driver) made \(made) of them")
            }
        }
    }

    /// Says what became of virtual functions that went; those that never did need no word.
    private func settle(_ fate: VirtualFunctionsFate, of recorded: ClaimedMember, _ context: StepContext) {
        guard recorded.virtualFunctions != nil else { return }
        update(recorded.address, in: context.group) { $0.virtualFunctions = fate }
    }
}
