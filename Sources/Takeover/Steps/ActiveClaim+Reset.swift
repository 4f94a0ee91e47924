// The reset of a member on its way back: what the next owner finds in it must not be the last owner's.

import EventLoop
import Glibc
import Grouping
import Host
import Inventory
import Registry

extension ActiveClaim {
    func reset(_ member: DeviceAddress, _ context: StepContext) async throws(StepFailure) {
        let recorded = try recorded(member, context)
        switch try await clearance(for: recorded, on: [recorded.vfioDriver], context) {
        case .failure(.unknown(let error)):
            // Who unbinds the device holds its lock until the daemon closes what it has open of it: to wait for the lock
            // before that is to wait for ever. In its last close vfio resets the device (vfio_pci_core_disable).
            guard case .deviceBusy = error, space.cdevs[member] != nil || space.barriers[member] != nil else {
                throw context.failure(reading: error, of: member)
            }
            note(.notReset(reason: "somebody is unbinding or removing it"), of: member, context)
        case .failure(let obstacle): note(.notReset(reason: obstacle.sentence), of: member, context)
        case .success(let clearance) where !clearance.binding.canReset:
            note(.notReset(reason: "the kernel knows no way to reset it"), of: member, context)
        case .success(let clearance):
            do throws(StepFailure) { try await call(.reset(clearance), about: member, context) } catch {
                guard case .errno(let errno) = error.cause else { throw error }
                return judge(errno, of: member, context)
            }
            guard await host.isAnswering(member) != false else {
                return fail("it answers with ones alone after its reset", member, context)
            }
            note(.reset, of: member, context)
        }
    }

    /// `reset` is there where a reset of the bus is all there is, and that is refused with ENOTTY while others sit on the
    /// bus (drivers/pci/pci.c, pci_parent_bus_reset): then no reset was tried. From any other method the same number means
    /// that the device did not come back (pci_dev_wait).
    private func judge(_ errno: Int32, of member: DeviceAddress, _ context: StepContext) {
        guard errno == ENOTTY else { return fail("\(KernelError(errno))", member, context) }
        guard let methods = host.resetMethods(of: member) else {
            return fail(
                "\(KernelError(errno)): this kernel does not say how it resets the device, so that a reset that was tried "
                    + "and failed cannot be told from one that was not", member, context)
        }
        let isOfBus = !methods.isEmpty && methods.allSatisfy { $0 == "bus" || $0 == "cxl_bus" }
        guard isOfBus, let neighbour = neighbourInReset(of: member) else {
            return fail("the device did not come back from it", member, context)
        }
        note(
            .notReset(reason: "only a reset of its bus is possible, and \(neighbour) sits on the bus, too"), of: member,
            context)
    }

    /// Another device that a reset of the bus or slot would take along.
    private func neighbourInReset(of member: DeviceAddress) -> DeviceAddress? {
        guard let reach = takeover.snapshot.resetReach(of: [member]).first else { return nil }
        return [reach.slot, reach.bus].lazy.compactMap { $0 }.flatMap(\.devices).first { $0 != member }
    }

    private func note(_ result: ResetResult, of member: DeviceAddress, _ context: StepContext) {
        update(member, in: context.group) { $0.reset = result }
    }

    /// The way back goes on: a device in an unknown state is better with its driver than with nobody.
    private func fail(_ reason: String, _ member: DeviceAddress, _ context: StepContext) {
        note(.failed(reason: reason), of: member, context)
        takeover.quarantine(context.group, reason: "the reset of \(member) failed: \(reason)", by: self)
    }
}

extension Obstacle {
    /// What stands in the way, in words that follow a device's name.
    var sentence: String {
        switch self {
        case .gone: "it left the host"
        case .replaced: "another device sits at its address by now"
        case .onDriver(nil): "it has no driver"
        case .onDriver(let driver?): "somebody bound it to \(driver) meanwhile"
        case .open(let holders):
            holders.lazy.compactMap(\.process).first.map { "process \($0.pid) has it open" }
                ?? "somebody has it open whom nothing in /proc shows"
        case .unknown(let error): error.description
        }
    }
}
