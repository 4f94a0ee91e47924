// Why a held member leaves, as far as that shows: a virtual function goes when somebody unbinds its physical function or
// writes to sriov_numvfs, and a function behind a VMD with the VMD's driver. Who made it is named, for it is there that
// something was done.

import EventLoop
import Grouping
import Host
import Inventory
import Registry

/// The function whose driver a member depends on.
struct Maker: Equatable, Sendable {
    var device: DeviceAddress
    /// The member is a virtual function of it; otherwise it is a VMD.
    var isPhysicalFunction: Bool

    /// What it is to the member, and its address.
    var text: String { (isPhysicalFunction ? "its physical function " : "the VMD ") + "\(device)" }
}

extension ActiveClaim {
    private func maker(of member: DeviceAddress) -> Maker? {
        let inventory = takeover.snapshot.inventory
        return inventory.maker(of: member).map { device in
            Maker(device: device, isPhysicalFunction: inventory[member]?.pci?.virtualFunction != nil)
        }
    }

    /// Why somebody who has begun to take a member away does so, in words.
    func reasonToLeave(of member: DeviceAddress, in group: GroupID) async -> String {
        // The link to its physical function is gone by then, before anything else is.
        guard let maker = maker(of: member) ?? work[group]?.makers[member] else {
            return "it is being unbound or removed"
        }
        if host.driverLink(of: maker.device) == .driverless {
            return "\(maker.text) is being unbound from its driver or removed, and takes it along"
        }
        var isTakenAway = self.maker(of: member) == nil
        // Whoever writes to sriov_numvfs has the lock of the physical function for as long as it takes.
        do throws(HostError) { _ = try await host.readBinding(of: maker.device) } catch {
            if case .deviceBusy = error { isTakenAway = true }
        }
        guard isTakenAway, maker.isPhysicalFunction else { return "it is being unbound or removed" }
        return "somebody changes sriov_numvfs of \(maker.text), which takes it away"
    }

    /// Tells of members that have gone with the driver of another function, once each.
    func tellOfLosses(in group: ClaimedGroup, _ findings: [HoldingFinding]) {
        guard let work = work[group.id] else { return }
        noteMakers(of: group)
        work.goneWith = work.goneWith.filter { findings.contains($0.key) }
        for case .gone(let member) in findings where work.goneWith[.gone(member)] == nil {
            guard let maker = work.makers[member], let cause = reason(forLossWith: maker) else { continue }
            work.goneWith[.gone(member)] = cause
            takeover.publish(.groupChanged(group.id), self, cause: "\(member) left the host: \(cause)")
        }
    }

    /// Takes down whose drivers members depend on, while that shows.
    func noteMakers(of group: ClaimedGroup) {
        for member in group.members {
            if let maker = maker(of: member.address) { work[group.id]?.makers[member.address] = maker }
        }
    }

    private func reason(forLossWith maker: Maker) -> String? {
        guard let device = takeover.snapshot.inventory[maker.device] else { return "\(maker.text) left the host" }
        guard let driver = device.driver else { return "\(maker.text) was unbound from its driver" }
        guard maker.isPhysicalFunction, let function = device.pci else { return nil }
        let count = function.virtualFunctions.count
        return "\(maker.text), bound to \(driver), has \(count == 0 ? "no" : "\(count)") virtual functions now"
    }
}
