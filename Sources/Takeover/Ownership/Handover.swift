// What is given to the owner of a claim, and when that can be done.

import EventLoop
import Glibc
import Grouping
import Host
import Inventory

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
    /// The nodes that the user may open, with their paths.
    public var nodes: [(node: VFIONode, path: String)] = []
    /// The user who may open them.
    public var user: UInt32?
}

extension ActiveClaim {
    /// Makes what the owner gets of some groups.
    func prepareHandover(
        _ access: Access, of groups: [GroupID], leaveOut: [DeviceAddress], to user: UInt32
    ) async throws(StepFailure) -> Handover {
        var handover = Handover(access: access, leftOut: leaveOut)
        if access == .path { handover.user = user }
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
                    try await detach(member, context)
                }
                try await openFresh(id, leaveOut: leaveOut, context, into: &handover)
            case .container:
                for number in ownableGroups(of: id) {
                    try await own(kernelGroup: number, context)
                    if let group = space.groups[number] { handover.groups.append((number, group)) }
                }
            case .path: try await openNodes(of: id, to: user, context, into: &handover)
            case .hold: break
            }
        }
        switch space.root {
        case .iommufd(let iommufd, let ioas):
            handover.iommufd = iommufd
            handover.ioas = access == .bound ? ioas : nil
        case .container(let container, _): handover.container = access == .container ? container : nil
        case .none: break
        }
        return handover
    }

    /// Lets go of the bound cdevs of a group but those to leave out, and opens the others anew: a second BIND of a bound
    /// one would be refused (Documentation/kernel.md, What gives ownership).
    private func openFresh(
        _ id: GroupID, leaveOut: [DeviceAddress], _ context: StepContext, into handover: inout Handover
    ) async throws(StepFailure) {
        let members = heldMembers(of: id).filter { !leaveOut.contains($0) }
        try await openBarriers(of: members, context)
        try await closeEverywhere(members.filter { space.cdevs[$0] != nil }.map { .cdev($0) }, context)
        for number in ownableGroups(of: id) where !owns(number) {
            beginUnowned(id, cause: "from the hand-over of unbound cdevs until their consumer binds them")
        }
        for member in members {
            handover.devices.append((member, try await open(.cdev(member), about: member, context)))
        }
    }

    /// Detaches a member that is bound, which keeps its group owned: the members of a kernel group can only be attached to
    /// one address space, and which that is shall be the consumer's choice (iommufd_hw_pagetable_attach).
    private func detach(_ member: DeviceAddress, _ context: StepContext) async throws(StepFailure) {
        guard let cdev = space.cdevs[member], !space.detached.contains(member) else { return }
        try await call(.detach(cdev: cdev), about: member, context)
        space.detached.insert(member)
    }

    /// Puts on record that the kernel would let a host driver in.
    ///
    /// - Parameters:
    ///   - group: the group.
    ///   - cause: from when until when, in words.
    ///   - time: when that began; now if nil.
    func beginUnowned(_ group: GroupID, cause: String, at time: MonotonicTime? = nil) {
        guard !record.unownedMoments.contains(where: { $0.group == group && $0.seconds == nil }) else { return }
        let now = host.now
        let began = min(time ?? now, now)
        let passed = Int(began.duration(until: now).components.seconds)
        record.unownedMoments.append(
            UnownedMoment(group: group, since: takeover.wallClock() - passed, seconds: nil, cause: cause))
        work[group]?.unownedSince = began
        // The first and the latest are what one wants to know of a claim that lives for years.
        if record.unownedMoments.count > 64 { record.unownedMoments.remove(at: 1) }
    }

    /// Puts on record that it would not any more.
    func endUnowned(_ group: GroupID) {
        guard let index = record.unownedMoments.lastIndex(where: { $0.group == group && $0.seconds == nil }) else {
            return
        }
        let since = work[group]?.unownedSince ?? host.now
        record.unownedMoments[index].seconds = since.duration(until: host.now) / .seconds(1)
        work[group]?.unownedSince = nil
    }

    /// Takes ownership of a group again, by the daemon's own files; from then on nobody opens its nodes.
    func regain(_ group: GroupID) async throws(StepFailure) {
        var failure: StepFailure?
        for number in ownableGroups(of: group) {
            let context = StepContext(group: group, step: .own(kernelGroup: number), deadline: nil)
            do throws(StepFailure) { try await own(kernelGroup: number, context) } catch {
                // Whoever keeps the daemon from it may be the consumer, with what it was given.
                if error.cause == .stopped || consumer != nil && isConsumers(error) || error.isBusy { throw error }
                failure = failure ?? error
            }
        }
        let context = StepContext(group: group, step: .takeBackNodes, deadline: nil)
        try await takeBackNodes(context)
        try await closeBarriers(context)
        if let failure { throw failure }
        endUnowned(group)
    }

    /// Leaves the iommufd that a consumer has seen: what it mapped there is freed with the last descriptor, and is none of
    /// the next consumer's. A member that was left out, and keeps the old one in use, changes over as well.
    func leaveIOMMUFD() async throws(StepFailure) {
        guard case .iommufd(let iommufd, _) = space.root else { return }
        for group in record.groups where group.goal == .hold {
            guard heldMembers(of: group.id).contains(where: { space.cdevs[$0] != nil }) else { continue }
            beginUnowned(group.id, cause: "from the iommufd of one consumer to the next")
            try await letGo(StepContext(group: group.id, step: .disown, deadline: nil))
        }
        await dropNow(.node(.iommufd))
        space.root = .none
        space.wasSeen = false
        space.ranges = []
        record.ioas = nil
        takeover.closeAside(iommufd)
    }

    /// Whether a failure to own a group that was handed over means that its consumer lives, with descriptors that nothing in
    /// /proc tells from others. A second BIND is EINVAL (vfio_df_ioctl_bind_iommufd), which for a device that was bound
    /// before is no refusal of the kernel's own.
    func isConsumers(_ failure: StepFailure) -> Bool {
        guard case .errno(let errno) = failure.cause else { return false }
        return errno == EBUSY || errno == EINVAL
    }
}
