// Hand-over by path: nodes in /dev that a user may open for the time being. What a node was is on record before it is
// changed, and it is that again as soon as its consumer is gone.

import EventLoop
import Glibc
import Grouping
import Host
import Inventory

extension ActiveClaim {
    /// Lets a user open the nodes of a group, and lets go of the group: a consumer that opens them makes it its own.
    func openNodes(
        of id: GroupID, to user: UInt32, _ context: StepContext, into handover: inout Handover
    ) async throws(StepFailure) {
        let interfaces = await host.vfioInterfaces()
        var nodes: [VFIONode] = []
        if interfaces.contains(.legacy) { nodes += ownableGroups(of: id).map { .group($0) } }
        if interfaces.contains(.cdev) { nodes += heldMembers(of: id).map { .cdev($0) } }
        for node in nodes { handover.nodes.append((node, try await open(node, to: user, context))) }
        if interfaces.contains(.cdev) { try await openBarriers(of: heldMembers(of: id), context) }
        beginUnowned(id, cause: "from the hand-over by path until its consumer has opened and bound it")
        try await letGo(context)
    }

    /// Gives nodes to their user again that went with a member's vfio driver, and came back with it as root's; and opens
    /// what goes beside them. What others made of a node is theirs.
    func openNodesAgain(_ group: GroupID) async throws(StepFailure) {
        let context = StepContext(
            group: group, step: .own(kernelGroup: ownableGroups(of: group).first ?? 0),
            deadline: host.now + takeover.timing.patience)
        for opened in self[group]?.nodes ?? [] where isOurs(opened.node, in: group) {
            let now = try await awaitStatus(of: opened.node, context).permissions
            guard now != opened.meanwhile, now.uid == opened.before.uid else { continue }
            _ = try await open(opened.node, to: opened.user, context)
        }
        try await raiseBarriersAgain(group)
    }

    /// The user who may open nodes: who may open some already, or its owner.
    var userOfNodes: UInt32 { record.groups.lazy.flatMap(\.nodes).first?.user ?? record.owner.uid }

    /// Lets a user open a node; its path.
    private func open(
        _ node: VFIONode, to user: UInt32, _ context: StepContext
    ) async throws(StepFailure) -> String {
        let status = try await awaitStatus(of: node, context)
        let before = self[context.group]?.nodes.first { $0.node == node }?.before ?? status.permissions
        let opened = OpenedNode(node, user: user, before: before)
        update(context.group) { group in
            group.nodes.removeAll { $0.node == node }
            group.nodes.append(opened)
        }
        try await call(.setPermissions(node, opened.meanwhile), about: node.device, context)
        guard try self.status(of: node, context)?.permissions == opened.meanwhile else {
            throw context.failure(
                .reason("\(status.path) is not the user's after it was given to uid \(user)"), member: node.device,
                remedy: "look for a udev rule that sets its owner")
        }
        return status.path
    }

    /// A node as it is now; nil where it is not there.
    private func status(of node: VFIONode, _ context: StepContext) throws(StepFailure) -> NodeStatus? {
        do throws(HostError) { return try host.nodeStatus(of: node) } catch {
            throw context.failure(
                .reason("its node in /dev cannot be looked at: \(error)"), member: node.device,
                remedy: "make memory or descriptors free on the host")
        }
    }

    /// What a node is, which may come later than what announces it.
    private func awaitStatus(of node: VFIONode, _ context: StepContext) async throws(StepFailure) -> NodeStatus {
        let deadline = host.now + takeover.timing.nodePatience
        while true {
            if let status = try status(of: node, context) { return status }
            guard host.now < deadline else {
                throw context.failure(
                    .reason("its node in /dev is not there"), member: node.device,
                    remedy: "see whether devtmpfs is mounted on /dev, and what udev does with the node")
            }
            do throws(LoopError) { try await host.sleep(for: .milliseconds(50)) } catch {
                throw context.failure(.stopped, member: node.device, remedy: "")
            }
        }
    }

    /// Has the nodes of a group be what they were before a user was let open them.
    func takeBackNodes(_ context: StepContext) async throws(StepFailure) {
        let nodes = self[context.group]?.nodes ?? []
        guard !nodes.isEmpty else { return }
        for opened in nodes {
            // A node that went with its device comes back as root's; what others made of it is theirs.
            if isOurs(opened.node, in: context.group), let now = try status(of: opened.node, context),
                opened.isMade(now.permissions)
            {
                do throws(StepFailure) {
                    try await call(.setPermissions(opened.node, opened.before), about: opened.node.device, context)
                } catch {
                    guard error.isGone else { throw error }
                }
            }
            update(context.group) { $0.nodes.removeAll { $0.node == opened.node } }
        }
        try save(for: context)
    }

    /// The number of a kernel group is given to another when its last device has left.
    private func isOurs(_ node: VFIONode, in group: GroupID) -> Bool {
        guard case .group(let number) = node else { return true }
        return ownableGroups(of: group).contains(number)
    }

    /// Opens cdevs and no more, which keeps others from unbinding the devices.
    func openBarriers(of members: [DeviceAddress], _ context: StepContext) async throws(StepFailure) {
        for member in members where space.barriers[member] == nil {
            space.barriers[member] = try await open(.cdev(member), about: member, context)
        }
    }

    /// Opens the cdevs that a daemon before had open; a consumer lives with that, bound or not.
    func raiseBarriersAgain(_ group: GroupID) async throws(StepFailure) {
        guard record.access == .path || record.access == .unbound, await host.vfioInterfaces().contains(.cdev) else {
            return
        }
        let members = heldMembers(of: group).filter { !record.leftOut.contains($0) }
        try await openBarriers(of: members, StepContext(group: group, step: .own(kernelGroup: 0), deadline: nil))
    }

    func closeBarriers(_ context: StepContext) async throws(StepFailure) {
        let members = Set(self[context.group]?.members.map(\.address) ?? [])
        for member in space.barriers.keys.filter(members.contains).sorted() {
            guard let cdev = space.barriers.removeValue(forKey: member) else { continue }
            try await close(cdev, about: member, context)
        }
    }
}

extension VFIONode {
    /// The device whose cdev it is.
    var device: DeviceAddress? { if case .cdev(let device) = self { device } else { nil } }
}

extension StepFailure {
    /// The node is not there any more, or leads to something else.
    fileprivate var isGone: Bool {
        guard case .errno(let errno) = cause else { return false }
        return [ENOENT, ENXIO, ENODEV].contains(errno)
    }
}
