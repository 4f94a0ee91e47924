// What is put on record of members before anything is done to them: all that a way back needs to know.

import EventLoop
import Grouping
import Host
import Inventory
import PCI
import Registry

extension Takeover {
    func recordMembers(
        of id: GroupID, in claim: ActiveClaim, _ deadline: MonotonicTime, _ adopting: Bool
    ) async throws(StepFailure) {
        let context = StepContext(group: id, step: .prove, deadline: deadline)
        let record = snapshot.group(id)
        var members: [ClaimedMember] = []
        // They go with the driver of another member, and are no business of the claim.
        let leaving = snapshot.functionsLost(with: record.map { [$0] } ?? [])
        for member in record?.members ?? [] where !leaving.contains(member.device.address) {
            let device = member.device
            guard let binding = try await claim.binding(of: device.address, context) else { continue }
            if device.pci == nil, binding.driver != nil, member.state == .host {
                throw context.failure(
                    .reason("devices of the bus \(device.address.bus) cannot be taken by this daemon"),
                    member: device.address, remedy: "unbind it from \(binding.driver ?? "its driver") yourself")
            }
            var claimed = await self.record(of: device, binding)
            if adopting, member.state == .held {
                try await checkUnused(claimed, binding, context)
                claimed.vfioDriver = binding.driver
                claimed.pin = binding.driver
                claimed.enableCount = binding.enableCount
            }
            if adopting { claimed.forgetPin() }
            members.append(claimed)
        }
        claim.update(id) { $0.members = members }
        if let group = claim[id] { claim.noteMakers(of: group) }
    }

    /// A device that another program uses through vfio is that program's, and not to be adopted.
    private func checkUnused(
        _ member: ClaimedMember, _ binding: DeviceBinding, _ context: StepContext
    ) async throws(StepFailure) {
        let holders: [DeviceHolder]
        do throws(HostError) { holders = try await self.holders(of: [member.address]) } catch {
            throw context.failure(
                .reason("who has it open through vfio cannot be found out: \(error)"), member: member.address,
                remedy: "try again when the host has descriptors and memory free")
        }
        guard holders.isEmpty else {
            let wait = wait(for: holders, of: member.address)
            throw context.failure(
                .reason(wait.sentence + " through vfio, without a claim"), member: member.address,
                remedy: "\(wait.remedy); or leave the device to it")
        }
        // vfio enables what is opened (vfio_pci_core_enable).
        guard let count = binding.enableCount, count > 0 else { return }
        throw context.failure(
            .reason(
                "its `enable` is \(count): somebody may have it open whom nothing in /proc shows, or the driver before "
                    + "vfio left it enabled"),
            member: member.address,
            remedy: "end whoever uses it; if nobody does, unbind it, write 0 to "
                + "/sys/bus/pci/devices/\(member.address)/enable, and bind it to \(binding.driver ?? "vfio-pci") again")
    }

    /// What is put on record of a member before anything is done to it.
    func record(of device: Device, _ binding: DeviceBinding) async -> ClaimedMember {
        var driver: String?
        var pin: String?
        if device.pci != nil, !device.isBridge {
            driver = await host.variantDriver(of: device.address) ?? "vfio-pci"
            pin = driver
        } else if device.isBridge, MemberState(of: device, kernel: snapshot.inventory.kernel) == .host {
            pin = Pin.noDriver
        }
        return ClaimedMember(
            address: device.address, identity: device.pci?.identification ?? .init(), isBridge: device.isBridge,
            before: .init(
                driver: binding.driver.map { .named($0) } ?? .none, driverOverride: binding.driverOverride,
                powerControl: binding.powerControl, d3coldAllowed: binding.d3coldAllowed,
                virtualFunctions: binding.virtualFunctionCount, module: binding.module),
            vfioDriver: driver, pin: pin)
    }
}

extension ClaimedMember {
    /// A pin without a driver is what an early helper or a daemon before left: it is nothing to go back to, and what driver
    /// the device would have without it is the kernel's to say.
    fileprivate mutating func forgetPin() {
        guard before.driver == .none, let pin = before.driverOverride,
            [vfioDriver, "vfio-pci", Pin.noDriver].contains(pin)
        else { return }
        before.driverOverride = nil
        before.driver = .unknown
    }
}

extension ActiveClaim {
    /// What is to be said of members of groups that are back.
    func remarks(_ ids: [GroupID]) -> [Unrestored] {
        returned.filter { ids.contains($0.record.id) }.flatMap(\.record.members).compactMap { member in
            member.remark.map { Unrestored(device: member.address, reason: $0) }
        }
    }
}
