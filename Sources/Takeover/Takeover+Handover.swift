// Handing groups over, and having them again when their consumer is gone.

import EventLoop
import Grouping
import Host
import Inventory
import Registry

extension Takeover {
    /// Makes what the owner of a claim gets. When copies of it are on their way, `finishHandover` has to follow, and
    /// `withdraw` when they cannot be sent.
    ///
    /// - Parameters:
    ///   - name: the name or id of the claim.
    ///   - access: what its owner gets.
    ///   - leaveOut: members that stay bound to the daemon.
    ///   - user: who may open the nodes of `path`; the claim's owner if nil.
    ///   - consumerTimeout: how long it is waited for who is to open the nodes of `path`; the operator's if nil.
    /// - Returns: the claim, and what is to be handed over.
    /// - Throws: why nothing is handed over.
    public func launch(
        _ name: String, _ access: Access, leaveOut: [DeviceAddress] = [], user: UInt32? = nil,
        consumerTimeout: ConsumerTimeout? = nil
    ) async throws(TakeoverError) -> Granted {
        let claim = try claim(named: name)
        try checkHeld(claim)
        guard !claim.isHandingOver else {
            throw .wrongState(
                subject: claim.id, state: claim.record.access.rawValue, reason: "it is being handed over already")
        }
        guard claim.consumer == nil else {
            throw .wrongState(
                subject: claim.id, state: claim.record.access.rawValue,
                reason: "it is handed over already; end its consumer first")
        }
        try await check(access, leaveOut: leaveOut, user: user, consumerTimeout: consumerTimeout)
        let members = Set(claim.record.groups.flatMap(\.members).map(\.address))
        guard leaveOut.allSatisfy(members.contains) else { throw .badRequest(parameter: "leaveOut") }
        try checkStore(for: leaveOut.count)
        let ids = claim.record.groups.filter { $0.goal == .hold }.map(\.id)
        claim.record.consumerTimeout = consumerTimeout
        let handover = try await prepare(access, ids, of: claim, leaveOut: leaveOut, to: user)
        return Granted(claim: ClaimView(claim), groups: ids, handover: handover)
    }

    /// Whether the host can hand over so.
    func check(
        _ access: Access, leaveOut: [DeviceAddress], user: UInt32?, consumerTimeout: ConsumerTimeout?
    ) async throws(TakeoverError) {
        guard consumerTimeout == nil || access == .path else { throw .badRequest(parameter: "consumerTimeoutSeconds") }
        guard leaveOut.isEmpty || access == .unbound else { throw .badRequest(parameter: "leaveOut") }
        guard user == nil || access == .path else { throw .badRequest(parameter: "user") }
        let interfaces = await host.vfioInterfaces()
        var available: [Access] = [.hold]
        if interfaces.contains(.cdev) { available += [.bound, .unbound] }
        if interfaces.contains(.legacy) { available.append(.container) }
        if !interfaces.isEmpty { available.append(.path) }
        guard !available.contains(access) else { return }
        throw .accessNotAvailable(
            available,
            reason: interfaces.isEmpty
                ? "this kernel has neither /dev/iommu nor /dev/vfio/vfio"
                : "this kernel has no \(access == .container ? "/dev/vfio/vfio" : "/dev/iommu (CONFIG_IOMMUFD)")")
    }

    func prepare(
        _ access: Access, _ ids: [GroupID], of claim: ActiveClaim, leaveOut: [DeviceAddress], to user: UInt32? = nil
    ) async throws(TakeoverError) -> Handover {
        claim.accessBefore = claim.record.access
        do throws(StepFailure) {
            if claim.space.wasSeen {
                try await claim.leaveIOMMUFD()
                for id in ids { try await claim.regain(id) }
            }
            try await switchRoot(of: claim, to: access, ids)
            let handover = try await claim.prepareHandover(
                access, of: ids, leaveOut: leaveOut, to: user ?? claim.userOfNodes)
            claim.record.access = access
            claim.record.leftOut = leaveOut
            try claim.save(about: ids.first ?? claim.record.groups[0].id)
            return handover
        } catch {
            if isStopped { throw .stopped }
            await fallBack(claim, ids)
            if case .stopped = error.cause { throw .stopped }
            throw .failed(error, unrestored: [])
        }
    }

    /// Takes back what was made to be handed over and could not be sent.
    public func withdraw(_ granted: Granted) async {
        guard let claim = claims[granted.claim.claim.id], let handover = granted.handover, claim.isHandingOver else {
            return
        }
        for (device, file) in handover.devices where claim.space.cdevs[device] !== file { closeAside(file) }
        await fallBack(claim, granted.groups)
        publish(.changed, claim, cause: "what was to be handed over could not be sent; the daemon holds it again")
    }

    /// Has groups as they were before something was made to be handed over.
    private func fallBack(_ claim: ActiveClaim, _ ids: [GroupID]) async {
        claim.record.access = claim.accessBefore.take() ?? .hold
        if claim.consumer == nil { claim.record.leftOut = [] }
        for id in ids where claim[id]?.goal == .hold {
            do throws(StepFailure) { try await claim.regain(id) } catch {
                report("claim \(claim.id): \(error.reason)")
            }
        }
        claim.saveOrReport()
    }

    /// An iommufd cannot be handed over as a container, nor the reverse: the groups change over, unowned for a moment.
    private func switchRoot(of claim: ActiveClaim, to access: Access, _ ids: [GroupID]) async throws(StepFailure) {
        let fits: Bool
        switch (claim.space.root, access) {
        case (.iommufd, .container), (.container, .bound), (.container, .unbound): fits = false
        case (.container, .path): fits = await !host.vfioInterfaces().contains(.cdev)
        default: fits = true
        }
        claim.record.access = access
        guard !fits else { return }
        for id in ids {
            claim.beginUnowned(id, cause: "from one interface of vfio to the other")
            try await claim.disown(
                StepContext(group: id, step: .disown, deadline: host.now + timing.patience))
        }
        for root in [VFIONode.iommufd, .container] { claim.drop(.node(root)) }
        claim.space = AddressSpace()
        claim.record.ioas = nil
        for id in ids { try await claim.regain(id) }
    }

    /// Lets go of what was handed over, once copies of it are on their way: nothing of it should outlive its consumer.
    public func finishHandover(_ handover: Handover, of id: String) async {
        guard let claim = claims[id] else { return }
        claim.accessBefore = nil
        claim.consumer = Consumer(of: handover.access, at: host.now)
        let files = handover.devices.map(\.file) + handover.groups.map(\.file) + [handover.container].compactMap { $0 }
        var nodes = handover.devices.map { VFIONode.cdev($0.device) } + handover.groups.map { .group($0.kernelGroup) }
        if handover.container != nil { nodes.append(.container) }
        for node in nodes {
            claim.drop(.node(node))
            _ = claim.space.remove(node)
        }
        for file in files { closeAside(file) }
        publish(.changed, claim, cause: "handed over as \(handover.access.rawValue)")
        // A device that somebody began to take away meanwhile had to wait.
        for group in claim.record.groups where group.goal == .hold { claim.look(at: group.id) }
        watchConsumers()
    }

    /// Closes a file that others have copies of. Should they be gone already it is the last close, in which vfio resets the
    /// device: so that a worker has it too.
    func closeAside(_ file: KernelFile) {
        guard file.isOpen else { return }
        do throws(HostError) { return try host.prepare(.close(file)).go() } catch {
            report("a file cannot be closed aside, and is kept open until it can: \(error)")
        }
        EventLoop.main.spawn { [weak self, host, condition, pause = timing.firstRetry] in
            while file.isOpen, self?.isStopped == false {
                do throws(LoopError) {
                    try await condition.wait(until: host.now + pause, by: host) { self?.isStopped != false }
                } catch { return }
                do throws(HostError) { return try host.prepare(.close(file)).go() } catch {}
            }
        }
    }

    /// Looks from time to time whether what was handed over is still open somewhere; one look serves all claims.
    func watchConsumers() {
        guard consumerTask == nil, !isStopped else { return }
        consumerTask = EventLoop.main.spawn { [weak self] in
            while let self, claims.values.contains(where: { $0.consumer != nil }) {
                do throws(LoopError) { try await host.sleep(for: timing.look) } catch { return }
                await lookForConsumers()
            }
            self?.consumerTask = nil
        }
    }

    private func lookForConsumers() async {
        let out = claims.values.filter { $0.consumer != nil && $0.record.goal == .hold }
        let devices = out.flatMap { claim in claim.record.groups.flatMap(\.members).map(\.address) }
        let held: Set<DeviceAddress>
        // Who cannot be looked for may be there: that is no look.
        do throws(HostError) { held = Set(try await holders(of: devices).map(\.device)) } catch { return }
        let now = host.now
        for claim in out {
            guard var consumer = claim.consumer else { continue }
            let wasThere = consumer.isThere
            let openedBefore = consumer.opened
            let members = claim.record.groups.flatMap(\.members)
            let opened = Set(members.filter(claim.isOpenedByOthers).map(\.address))
            consumer.look(isSeen: members.contains { held.contains($0.address) }, opened: opened, at: now)
            claim.consumer = consumer
            claim.endMoments(of: consumer)
            if wasThere != consumer.isThere || openedBefore != consumer.opened { changed() }
            let timeout = timeout(of: claim)
            // What a manual claim's groups are launched for need not be the process that made the claim.
            let ownerEnded = claim.ownerEnded && (claim.record.lifetime != .manual || timeout == nil)
            switch consumer.verdict(timeout: timeout, ownerEnded: ownerEnded, at: now) {
            case .stays: break
            case .gone(let lastSeen):
                await regain(claim, since: lastSeen, cause: "its consumer is gone; the daemon holds it again")
            case .neverCame(let waited):
                await regain(
                    claim, since: now,
                    cause: "no consumer came within \(waited.components.seconds) s; the daemon holds it again")
            }
        }
    }

    /// How long it is waited for the consumer of a claim that has not come; nil for as long as its owner lives.
    private func timeout(of claim: ActiveClaim) -> Duration? {
        guard claim.record.access == .path else { return timing.firstSight }
        return switch claim.record.consumerTimeout ?? timing.consumerTimeout {
        case .after(let duration): duration
        case .never: nil
        }
    }

    /// Has the kernel refuse host drivers in a claim's groups again, by files of the daemon.
    private func regain(_ claim: ActiveClaim, since lastSeen: MonotonicTime, cause: String) async {
        let access = claim.record.access
        claim.record.access = .hold
        do throws(StepFailure) {
            if access == .bound || access == .unbound {
                // A member that was left out keeps its group owned, and with it the iommufd, until somebody gets one again.
                if claim.space.cdevs.isEmpty {
                    try await claim.leaveIOMMUFD()
                } else {
                    claim.space.wasSeen = true
                }
            }
        } catch {
            if case .stopped = error.cause { return }
            report("claim \(claim.id): \(error.reason)")
        }
        for group in claim.record.groups where group.goal == .hold {
            if !claim.ownableGroups(of: group.id).allSatisfy(claim.owns) {
                claim.beginUnowned(group.id, cause: "from the end of its consumer until that was seen", at: lastSeen)
            }
            do throws(StepFailure) { try await claim.regain(group.id) } catch {
                if case .stopped = error.cause { return }
                if claim.isConsumers(error) {
                    // Somebody has a descriptor that nothing in /proc tells from others: the consumer lives.
                    claim.record.access = access
                    claim.consumer?.look(isSeen: true, opened: [], at: host.now)
                    return
                }
                claim.work[group.id]?.unowned = error
            }
        }
        claim.consumer = nil
        claim.record.leftOut = []
        claim.record.consumerTimeout = nil
        claim.saveOrReport()
        publish(.changed, claim, cause: cause)
        for group in claim.record.groups where group.goal == .hold { claim.look(at: group.id) }
    }
}
