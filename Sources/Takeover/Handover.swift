// What is given to the owner of a claim, and when that can be done.

import EventLoop
import Grouping
import Host

/// Open files for the owner of a claim. They are the daemon's until `Takeover.finishHandover`; copies of them are sent.
public struct Handover: Sendable {
    public var access: Access
    public var iommufd: KernelFile?
    /// The I/O address space that bound devices are attached to.
    public var ioas: UInt32?
    public var container: KernelFile?
    public var devices: [(device: DeviceAddress, file: KernelFile)] = []
    /// By the numbers of the kernel groups.
    public var groups: [(kernelGroup: Int, file: KernelFile)] = []
    /// Members that stay bound to the daemon.
    public var leftOut: [DeviceAddress] = []
}

extension ActiveClaim {
    /// Makes what the owner gets of some groups.
    func prepareHandover(
        _ access: Access, of groups: [GroupID], leaveOut: [DeviceAddress]
    ) async throws(StepFailure) -> Handover {
        var handover = Handover(access: access, leftOut: leaveOut)
        for id in groups {
            let context = StepContext(
                group: id, step: .own(kernelGroup: ownableGroups(of: id).first ?? 0),
                deadline: host.now + takeover.timing.patience)
            switch access {
            case .bound:
                for member in heldMembers(of: id) {
                    try await bindCdev(of: member, keeps: false, context)
                    if let cdev = space.cdevs[member] { handover.devices.append((member, cdev)) }
                }
            case .unbound:
                for member in leaveOut where heldMembers(of: id).contains(member) {
                    try await bindCdev(of: member, context)
                }
                try await openFresh(id, leaveOut: leaveOut, context, into: &handover)
            case .container:
                for number in ownableGroups(of: id) {
                    try await own(kernelGroup: number, context)
                    if let group = space.groups[number] { handover.groups.append((number, group)) }
                }
            case .hold, .path: break
            }
        }
        switch space.root {
        case .iommufd(let iommufd, let ioas):
            handover.iommufd = iommufd
            handover.ioas = access == .bound ? ioas : nil
        case .container(let container, _): handover.container = container
        case .none: break
        }
        return handover
    }

    /// Lets go of the bound cdevs of a group but those to leave out, and opens the others anew: a second BIND of a bound
    /// one would be refused (facts/ownership.md).
    private func openFresh(
        _ id: GroupID, leaveOut: [DeviceAddress], _ context: StepContext, into handover: inout Handover
    ) async throws(StepFailure) {
        let members = heldMembers(of: id)
        let bound = members.filter { !leaveOut.contains($0) && space.cdevs[$0] != nil }
        try await closeEverywhere(bound.map { .cdev($0) }, context)
        for number in ownableGroups(of: id) where !owns(number) {
            beginUnowned(id, cause: "from the hand-over of unbound cdevs until their consumer binds them")
        }
        for member in members where !leaveOut.contains(member) {
            if case .file(let cdev) = try await call(.open(.cdev(member)), about: member, context) {
                handover.devices.append((member, cdev))
            }
        }
    }

    /// Puts on record that the kernel would let a host driver in.
    func beginUnowned(_ group: GroupID, cause: String) {
        guard !record.unownedMoments.contains(where: { $0.group == group && $0.seconds == nil }) else { return }
        record.unownedMoments.append(
            UnownedMoment(group: group, since: takeover.wallClock(), seconds: nil, cause: cause))
        work[group]?.unownedSince = host.now
        // The first and the latest are what one wants to know of a claim that lives for years.
        if record.unownedMoments.count > 64 { record.unownedMoments.remove(at: 1) }
    }

    /// Puts on record that it would not any more.
    func endUnowned(_ group: GroupID) {
        guard let index = record.unownedMoments.lastIndex(where: { $0.group == group && $0.seconds == nil }) else {
            return
        }
        let since = work[group]?.unownedSince ?? host.now
        record.unownedMoments[index].seconds =
            Double(host.now.nanoseconds - min(since.nanoseconds, host.now.nanoseconds)) / 1e9
        work[group]?.unownedSince = nil
    }

    /// Takes ownership of a group again, by the daemon's own files.
    func regain(_ group: GroupID) async throws(StepFailure) {
        for number in ownableGroups(of: group) {
            let context = StepContext(group: group, step: .own(kernelGroup: number), deadline: nil)
            try await own(kernelGroup: number, context)
        }
        endUnowned(group)
    }
}
