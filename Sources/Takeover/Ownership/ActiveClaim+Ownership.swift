// Kernel ownership of groups: had as soon as one member is on vfio, kept until the way back, and had again when a
// consumer is gone. Taking it is also the proof that the group is complete, and yields the I/O virtual addresses.

import EventLoop
import Glibc
import Grouping
import Host
import Inventory
import Registry

extension ActiveClaim {
    /// The kernel group of a member, as the host shows it now.
    func kernelGroup(of member: DeviceAddress) -> Int? { takeover.snapshot.inventory[member]?.kernelGroup }

    /// Whether the daemon keeps a kernel group owned.
    func owns(_ number: Int) -> Bool {
        space.groups[number] != nil || space.cdevs.keys.contains { kernelGroup(of: $0) == number }
    }

    /// Whether the kernel refuses host drivers in a kernel group, as far as was seen.
    func isOwned(_ number: Int, of group: GroupID) -> Bool { kernelOwns && isKept(number, of: group) }

    /// Whether the kernel knows ownership at all. One that does not lets a host driver into a group that is attached, and
    /// ends in a BUG() when it meets it (drivers/vfio/vfio.c before 5.19, vfio_iommu_group_notifier).
    private var kernelOwns: Bool { takeover.snapshot.inventory.kernel?.countsOwnership != false }

    /// Whether a kernel group is owned by what the daemon or its consumer has open, on a kernel that knows ownership. An
    /// open group does not keep its devices from leaving, and owns nothing any more when the last has left
    /// (Documentation/kernel.md, VFIO in runs).
    func isKept(_ number: Int, of group: GroupID) -> Bool {
        if owns(number) { return space.groups[number] == nil || hasMemberOnVFIO(number, of: group) }
        guard let consumer else { return false }
        switch record.access {
        case .hold: return false
        case .bound: return consumer.isThere
        case .container: return consumer.isThere && hasMemberOnVFIO(number, of: group)
        case .unbound, .path:
            return heldMembers(of: group).contains { consumer.opened.contains($0) && kernelGroup(of: $0) == number }
        }
    }

    /// Why a group is not owned in the kernel, in words; nil where it is, or has nothing to own.
    func unownedReason(of group: GroupID) -> String? {
        let numbers = ownableGroups(of: group)
        guard self[group]?.goal == .hold, !numbers.allSatisfy({ isOwned($0, of: group) }) else { return nil }
        guard kernelOwns else {
            let release = takeover.snapshot.inventory.kernel?.text ?? "this kernel"
            return "Linux \(release) keeps no host driver out of a group that is in use; 5.19 does. The overrides of "
                + "its members keep drivers away that nobody binds by hand"
        }
        guard let consumer else { return work[group]?.unowned?.reason ?? "the daemon has not got it owned yet" }
        let isSeen = if case .seen = consumer.sighting { true } else { false }
        switch record.access {
        case .hold: return work[group]?.unowned?.reason
        case .bound, .container: return "its consumer has closed what it was given"
        case .unbound:
            return isSeen
                ? "its consumer is there, and has not bound it"
                : "no consumer was seen yet with what was handed over"
        case .path:
            return isSeen ? "its consumer is there, and has not bound it" : "no consumer has opened its nodes yet"
        }
    }

    /// Whether somebody but the daemon has a member open as far as its `enable` tells; false where that is not known.
    func isOpenedByOthers(_ member: ClaimedMember) -> Bool {
        // A host driver enables it, too.
        guard let driver = member.vfioDriver, host.driverLink(of: member.address) == .driver(driver) else {
            return false
        }
        return terms(for: member, on: [driver]).isOpenUnseen(host.enableCount(of: member.address))
    }

    /// Begins and ends the moments in which groups are unowned because their consumer has not bound them.
    func endMoments(of consumer: Consumer) {
        guard record.access == .unbound || record.access == .path else { return }
        for group in record.groups where group.goal == .hold {
            let numbers = ownableGroups(of: group.id)
            if !numbers.isEmpty, numbers.allSatisfy({ isKept($0, of: group.id) }) {
                endUnowned(group.id)
            } else if consumer.isThere {
                beginUnowned(group.id, cause: "while its consumer lives and has not bound it")
            }
        }
    }

    private func hasMemberOnVFIO(_ number: Int, of group: GroupID) -> Bool {
        (self[group]?.members ?? []).contains { member in
            member.vfioDriver != nil && work[group]?.drivers[member.address] == member.vfioDriver
                && kernelGroup(of: member.address) == number
        }
    }

    /// The members of a group that are on vfio, by its record.
    func heldMembers(of group: GroupID) -> [DeviceAddress] {
        self[group]?.members.filter { $0.vfioDriver != nil }.map(\.address) ?? []
    }

    /// The kernel groups of a group that have a member on vfio, by which they can be owned.
    func ownableGroups(of group: GroupID) -> [Int] { Set(heldMembers(of: group).compactMap(kernelGroup)).sorted() }

    /// Has the kernel refuse host drivers in a kernel group.
    func own(kernelGroup number: Int, _ context: StepContext) async throws(StepFailure) {
        guard !owns(number) else { return }
        switch try await root(context) {
        case .iommufd:
            guard let member = heldMembers(of: context.group).first(where: { kernelGroup(of: $0) == number }) else {
                return
            }
            try await bindCdev(of: member, context)
        case .container(let container, let hasIOMMU):
            let group = try await open(.group(number), about: nil, context)
            try await put(number, on: context)
            await keep(group, as: .node(.group(number)))
            do throws(StepFailure) {
                try await refusing(context) { () async throws(StepFailure) in
                    try await self.call(.setContainer(group: group, container: container), about: nil, context)
                }
            } catch {
                await dropNow(.node(.group(number)))
                throw error
            }
            space.groups[number] = group
            if !hasIOMMU {
                try await refusing(context) { () async throws(StepFailure) in
                    try await self.call(.setIOMMU(container: container), about: nil, context)
                }
            }
            space.root = .container(container, hasIOMMU: true)
            try await readRanges(.containerRanges(container), context)
        case .none: break
        }
    }

    /// Opens a member's cdev and binds it to the claim's iommufd.
    ///
    /// - Parameters:
    ///   - member: the device.
    ///   - keeps: whether it outlasts the daemon; one that is handed over in a moment does not.
    ///   - context: the step that it is part of.
    /// - Throws: what failed, and in which member.
    func bindCdev(of member: DeviceAddress, keeps: Bool = true, _ context: StepContext) async throws(StepFailure) {
        guard case .iommufd(let iommufd, let ioas) = try await root(context) else { return }
        let cdev: KernelFile
        if let bound = space.cdevs[member] {
            guard space.detached.contains(member) else { return }
            cdev = bound
        } else {
            if let open = space.barriers[member] {
                cdev = open
            } else {
                cdev = try await open(.cdev(member), about: member, context)
            }
            if keeps { await keep(cdev, as: .node(.cdev(member))) }
            do throws(StepFailure) {
                try await refusing(context) { () async throws(StepFailure) in
                    try await self.call(.bindIOMMUFD(cdev: cdev, iommufd: iommufd), about: member, context)
                }
            } catch {
                await dropNow(.node(.cdev(member)))
                throw error
            }
            space.barriers[member] = nil
            space.cdevs[member] = cdev
            space.detached.insert(member)
        }
        try await attach(cdev, of: member, iommufd, ioas, context)
    }

    /// Attaches a bound cdev to the claim's address space, which one that is attached to it already stays.
    func attach(
        _ cdev: KernelFile, of member: DeviceAddress, _ iommufd: KernelFile, _ ioas: UInt32, _ context: StepContext
    ) async throws(StepFailure) {
        try await call(.attach(cdev: cdev, ioas: ioas), about: member, context)
        space.detached.remove(member)
        try await readRanges(.ioasRanges(iommufd: iommufd, ioas: ioas), context)
    }

    func readRanges(_ call: KernelCall, _ context: StepContext) async throws(StepFailure) {
        if case .ranges(let ranges) = try await self.call(call, about: nil, context) { space.ranges = ranges }
    }

    /// Puts a kernel group on record that its group did not have when it was claimed: what is kept has to be found again.
    private func put(_ number: Int, on context: StepContext) async throws(StepFailure) {
        guard let group = self[context.group], !group.kernelGroups.contains(number) else { return }
        update(context.group) { $0.kernelGroups.append(number) }
        try save(for: context)
    }

    /// The root of the claim's address space, opened when it is first needed.
    private func root(_ context: StepContext) async throws(StepFailure) -> AddressSpace.Root {
        if case .none = space.root {} else { return space.root }
        let interfaces = await host.vfioInterfaces()
        if interfaces.contains(.cdev), record.access != .container {
            let iommufd = try await open(.iommufd, about: nil, context)
            guard case .number(let ioas) = try await call(.allocateIOAS(iommufd: iommufd), about: nil, context) else {
                throw context.failure(.reason("the iommufd has no address space"), remedy: "try again")
            }
            record.ioas = ioas
            try save(for: context)
            await keep(iommufd, as: .node(.iommufd))
            space.root = .iommufd(iommufd, ioas: ioas)
        } else if interfaces.contains(.legacy) {
            let container = try await open(.container, about: nil, context)
            await keep(container, as: .node(.container))
            space.root = .container(container, hasIOMMU: false)
        } else {
            throw context.failure(
                .reason("this kernel offers neither /dev/vfio/vfio nor /dev/iommu"),
                remedy: "load vfio_iommu_type1 or iommufd, or use a kernel that has them")
        }
        return space.root
    }

    /// Opens a node, which may come later than what announces it.
    func open(
        _ node: VFIONode, about member: DeviceAddress?, _ context: StepContext
    ) async throws(StepFailure) -> KernelFile {
        let deadline = host.now + takeover.timing.nodePatience
        while true {
            do throws(StepFailure) {
                if case .file(let file) = try await call(.open(node), about: member, context) { return file }
                throw context.failure(
                    .reason("the node was opened by nobody knows whom"), member: member, remedy: "try again")
            } catch {
                guard case .errno(let errno) = error.cause, [ENOENT, ENXIO].contains(errno),
                    host.now < deadline
                else { throw error }
            }
            do throws(LoopError) { try await host.sleep(for: .milliseconds(50)) } catch {
                throw context.failure(.stopped, member: member, remedy: "")
            }
        }
    }

    /// EPERM here means that the group is not viable, or that interrupts are not remapped; the kernel does not say which,
    /// nor through whom.
    private func refusing(
        _ context: StepContext, _ body: @LoopActor () async throws(StepFailure) -> Void
    ) async throws(StepFailure) {
        do throws(StepFailure) { try await body() } catch {
            guard case .errno(EPERM) = error.cause else { throw error }
            var blockers: [String] = []
            for member in self[context.group]?.members ?? [] {
                guard let driver = try await binding(of: member.address, context)?.driver, driver != member.vfioDriver
                else { continue }
                if member.vfioDriver == nil {
                    let inventory = takeover.snapshot.inventory
                    guard let device = inventory[member.address],
                        MemberState(of: device, kernel: inventory.kernel) == .host
                    else { continue }
                }
                blockers.append("\(member.address) is bound to \(driver)")
            }
            guard !blockers.isEmpty else {
                guard takeover.snapshot.inventory.interrupts?.isOn == false else { throw error }
                var failure = error
                failure.explanation = InterruptRemapping.refusal
                failure.remedy = InterruptRemapping.remedy
                throw failure
            }
            throw context.failure(
                .reason("the kernel says that the group is not viable: \(blockers.joined(separator: ", "))"),
                remedy: "unbind what is named")
        }
    }

    /// Lets go of all that the daemon has open of a group's devices.
    func disown(_ context: StepContext) async throws(StepFailure) {
        try await closeBarriers(context)
        try await letGo(context)
    }

    /// Lets go of what keeps a group owned.
    func letGo(_ context: StepContext) async throws(StepFailure) {
        let members = Set(self[context.group]?.members.map(\.address) ?? [])
        let numbers = Set(self[context.group]?.kernelGroups ?? []).union(ownableGroups(of: context.group))
        try await closeEverywhere(
            space.cdevs.keys.filter(members.contains).sorted().map { .cdev($0) }
                + space.groups.keys.filter(numbers.contains).sorted().map { .group($0) }, context)
        space.groupsWereClosed()
    }

    /// Closes a file, which closes it whatever the kernel says of it.
    ///
    /// On the way back a close that sits in the kernel is put aside: vfio resets the device in it, and no other's way home
    /// is to wait for that.
    func close(_ file: KernelFile, about member: DeviceAddress?, _ context: StepContext) async throws(StepFailure) {
        guard let member, var shown = work[context.group]?[context.number], self[context.group]?.goal == .restore else {
            return try await closeNow(file, about: member, context)
        }
        shown.member = member
        try await runErrand(shown, of: context.group) { [self] (context) async throws(StepFailure) in
            try await closeNow(file, about: member, context)
        }
    }

    private func closeNow(
        _ file: KernelFile, about member: DeviceAddress?, _ context: StepContext
    ) async throws(StepFailure) {
        do throws(StepFailure) { try await call(.close(file), about: member, context) } catch {
            if case .errno = error.cause { return }
            throw error
        }
    }
}
