// Making a claim, and adding groups to one: choose, ask whether the host can do without, put on record, take.

import EventLoop
import Grouping
import Host
import Inventory
import PCI
import Registry

extension Takeover {
    /// What a claim came to.
    public struct Granted: Sendable {
        public var claim: ClaimView
        /// The groups that it is about.
        public var groups: [GroupID]
        public var handover: Handover?
        /// What was known when these groups were chosen, and did not stop the claim: uses that only warn, and those of
        /// members that were forced.
        public var uses: [DeviceUse] = []
    }

    /// Claims groups for an owner. When it throws, or its task is cancelled, all is on its way back to what it was.
    public func claim(
        _ request: ClaimRequest, for owner: Owner, progress: (@LoopActor (ClaimProgress) -> Void)? = nil
    ) async throws(TakeoverError) -> Granted {
        let (claim, choice) = try await prepareClaim(request, for: owner, progress)
        guard choice.refusals.isEmpty else { throw .inUse(choice.refusals) }
        claims[claim.id] = claim
        changed()
        let ids = choice.records.map(\.id)
        try await take(ids, for: claim, progress, adopting: request.isReservation, forced: request.force)
        accept(request.force)
        claim.record.consumerTimeout = request.consumerTimeout
        let handover: Handover?
        do throws(TakeoverError) {
            handover =
                request.access == .hold
                ? nil
                : try await prepare(request.access, ids, of: claim, leaveOut: request.leaveOut, to: request.user)
        } catch {
            throw await undoing(ids, of: claim, after: error)
        }
        watchOwner(of: claim)
        publish(.added, claim, cause: "claimed by \(owner.text)")
        return Granted(claim: ClaimView(claim), groups: ids, handover: handover, uses: choice.uses)
    }

    /// What was chosen for a claim.
    struct Choice {
        /// The groups.
        var records: [GroupRecord]
        /// What is used of them.
        var uses: [DeviceUse]
        /// What of that refuses the claim.
        var refusals: [DeviceUse]
        /// What is used of groups that were passed over for it.
        var passedOver: [DeviceUse]
    }

    /// A claim that could be made of what is asked for, which nobody knows of yet: nothing is changed.
    func prepareClaim(
        _ request: ClaimRequest, for owner: Owner, _ progress: (@LoopActor (ClaimProgress) -> Void)?
    ) async throws(TakeoverError) -> (ActiveClaim, Choice) {
        guard !request.selectors.isEmpty else { throw .badRequest(parameter: "selectors") }
        if let name = request.name, name.isEmpty || name.utf8.count > 255 || claims[name] != nil {
            throw .badRequest(parameter: "name")
        }
        try await check(
            request.access, leaveOut: request.leaveOut, user: request.user, consumerTimeout: request.consumerTimeout)
        let choice = try await choose(
            request.selectors, besides: [], force: request.force, wait: request.wait,
            evenOrphaned: request.isReservation, progress)
        let records = choice.records
        let members = Set(records.flatMap(\.group.members)).subtracting(snapshot.functionsLost(with: records))
        guard request.leaveOut.allSatisfy(members.contains) else { throw .badRequest(parameter: "leaveOut") }
        let claim = ActiveClaim(
            Claim(
                id: newID(), name: request.name, owner: owner, since: wallClock(), lifetime: request.lifetime,
                access: request.access == .container ? .container : .hold,
                groups: records.map(ClaimedGroup.init(taking:))),
            of: self)
        try checkStore(for: claim.record.storeDemand + request.leaveOut.count)
        return (claim, choice)
    }

    /// Adds groups to a claim.
    public func attach(
        _ selectors: [GroupSelector], to name: String, force: [DeviceAddress] = [],
        progress: (@LoopActor (ClaimProgress) -> Void)? = nil
    ) async throws(TakeoverError) -> Granted {
        let claim = try claim(named: name)
        guard !selectors.isEmpty else { throw .badRequest(parameter: "selectors") }
        try checkHeld(claim)
        let choice = try await choose(
            selectors, besides: claim.record.groups.map(\.id), force: force, wait: .zero)
        guard choice.refusals.isEmpty else { throw .inUse(choice.refusals) }
        try checkHeld(claim)
        let records = choice.records
        let added = records.map(ClaimedGroup.init(taking:))
        try checkStore(for: added.storeDemand)
        let ids = records.map(\.id)
        claim.record.groups += added
        for id in ids { claim.work[id] = GroupWork() }
        changed()
        try await take(ids, for: claim, progress, forced: force)
        accept(force)
        var handover: Handover?
        let access = claim.record.access
        if claim.consumer != nil, [.bound, .container, .path].contains(access) {
            do throws(TakeoverError) { handover = try await prepare(access, ids, of: claim, leaveOut: []) } catch {
                throw await undoing(ids, of: claim, after: error)
            }
        }
        publish(.changed, claim, cause: "groups were added: \(ids.map(\.text).joined(separator: ", "))")
        return Granted(claim: ClaimView(claim), groups: ids, handover: handover, uses: choice.uses)
    }

    func checkHeld(_ claim: ActiveClaim) throws(TakeoverError) {
        guard claim.record.goal == .hold else {
            throw .wrongState(
                subject: claim.id, state: claim.record.goal == .take ? "claiming" : "releasing",
                reason: "only a claim that is held can be changed")
        }
    }

    /// The groups, once they can be had, and what the host uses of them.
    private func choose(
        _ selectors: [GroupSelector], besides own: [GroupID], force: [DeviceAddress], wait: Duration,
        evenOrphaned: Bool = false, _ progress: (@LoopActor (ClaimProgress) -> Void)? = nil
    ) async throws(TakeoverError) -> Choice {
        let began = host.now
        let deadline = began + wait
        var isFresh = false
        while true {
            // What is there for selectors by IDs to choose from depends on what the host uses.
            let candidates = Selection.candidates(selectors, in: snapshot)
            var known = Set(Preflight.devices(of: candidates, in: snapshot))
            var found = known.isEmpty ? [] : await host.uses(of: known.sorted())
            func refusals(_ record: GroupRecord) -> [DeviceUse] {
                Preflight.refusals(uses([record], askedBy: selectors, found), force: force)
            }
            let records = try Selection.groups(selectors, in: snapshot, refusals: refusals).chosen
            if let obstacle = obstacle(records, besides: own, evenOrphaned) {
                if case .notClaimable = obstacle, !isFresh {
                    // Nothing tells when a parameter of a module that forbade it is changed.
                    isFresh = true
                    await keeper?.refresh()
                    continue
                }
                guard obstacle.isOfAnotherClaim, host.now < deadline else { throw obstacle }
                var pause = deadline
                if let progress, let waiting = ClaimProgress(waitingFor: obstacle, since: began, now: host.now) {
                    progress(waiting)
                    pause = min(deadline, host.now + timing.heartbeat)
                }
                try await waitForFreedom(selectors, besides: own, until: pause, evenOrphaned)
                continue
            }
            if let limit = Selection.limit(records, in: snapshot.inventory), own.count + records.count > limit {
                throw .tooManyGroups(
                    limit: limit, reason: "on P7IOC every PE has a TCE table of its own, so that no two share a domain")
            }
            let lost = snapshot.functionsLost(with: records)
            try Selection.check(selectors, against: lost, in: snapshot)
            let unknown = Preflight.devices(of: records, in: snapshot).filter { known.insert($0).inserted }
            if !unknown.isEmpty { found += await host.uses(of: unknown) }
            try await checkHolders(of: lost, lostWith: records)
            found += await silentMembers(of: records)
            if isStopped { throw .stopped }
            // Others ran meanwhile: only who finds the groups still free has them.
            if let now = try? Selection.groups(selectors, in: snapshot, refusals: refusals),
                now.chosen.map(\.id) == records.map(\.id), obstacle(now.chosen, besides: own, evenOrphaned) == nil
            {
                let uses = uses(now.chosen, askedBy: selectors, found)
                return Choice(
                    records: now.chosen, uses: uses, refusals: Preflight.refusals(uses, force: force),
                    passedOver: now.passedOver)
            }
        }
    }

    /// The members that answer nothing but ones, each as the use that speaks against taking it. A virtual function has
    /// no vendor of its own in configuration space (SR-IOV 9.3.4.1.1), and a bridge is not taken.
    private func silentMembers(of records: [GroupRecord]) async -> [DeviceUse] {
        var silent: [DeviceUse] = []
        for device in records.flatMap(\.members).map(\.device) {
            guard let function = device.pci, !function.isBridge, function.virtualFunction == nil else { continue }
            if await host.isAnswering(device.address) == false { silent.append(DeviceUse(device.address, .silent)) }
        }
        return silent
    }

    /// What is used of groups, out of what was found on the host.
    func uses(
        _ records: [GroupRecord], askedBy selectors: [GroupSelector]? = nil, _ found: [DeviceUse]
    ) -> [DeviceUse] {
        let devices = Preflight.devices(of: records, in: snapshot)
        return Preflight.uses(
            records, askedBy: selectors, found: found.filter { devices.contains($0.device) }, known: knownDevices,
            in: snapshot)
    }

    private func obstacle(
        _ records: [GroupRecord], besides own: [GroupID], _ evenOrphaned: Bool
    ) -> TakeoverError? {
        for record in records {
            if own.contains(record.id) {
                return .wrongState(
                    subject: record.id.text, state: record.state.name, reason: "the claim has it already")
            }
            // The registry hears of it a moment later.
            // And what leaves may look like another group before it has left: a virtual function without its link.
            for claim in claims.values where claim[record.id] != nil || record.group.members.contains(where: claim.has)
            {
                return .groupBusy(record.id, state: record.state.name, claim: claim.record)
            }
            if evenOrphaned, record.state == .orphaned { continue }
            if let obstacle = Selection.obstacle(record, claims: { claims[$0]?.record }) { return obstacle }
        }
        return dependencyObstacle(records, besides: own)
    }

    /// Whoever has a function open is asked by nobody: the unbind that takes it away would wait for them.
    private func checkHolders(of lost: [DeviceAddress], lostWith records: [GroupRecord]) async throws(TakeoverError) {
        guard let first = lost.first, let record = records.first else { return }
        let found: [DeviceHolder]
        do throws(HostError) { found = try await holders(of: lost) } catch {
            throw .inUse([DeviceUse(first, .unknown(reason: error.description))])
        }
        guard let holder = found.first else { return }
        throw .wrongState(
            subject: record.id.text, state: record.state.name,
            reason:
                "\(wait(for: [holder], of: holder.device).sentence), and it would go with the group's driver: "
                + "end who has it open first")
    }

    private func waitForFreedom(
        _ selectors: [GroupSelector], besides own: [GroupID], until deadline: MonotonicTime, _ evenOrphaned: Bool
    ) async throws(TakeoverError) {
        do throws(LoopError) {
            try await condition.wait(until: deadline, by: host) { [self] in
                guard !isStopped, let records = try? Selection.groups(selectors, in: snapshot).chosen else {
                    return true
                }
                return obstacle(records, besides: own, evenOrphaned) == nil
            }
        } catch { throw .stopped }
        if isStopped { throw .stopped }
    }

    /// Puts on record what the members of groups are, and takes them.
    func take(
        _ ids: [GroupID], for claim: ActiveClaim, _ progress: (@LoopActor (ClaimProgress) -> Void)?,
        adopting: Bool = false, forced: [DeviceAddress] = []
    ) async throws(TakeoverError) {
        let deadline = host.now + timing.patience
        let task = EventLoop.main.spawn { [self] () -> StepFailure? in
            do throws(StepFailure) {
                for id in ids { try await recordMembers(of: id, in: claim, deadline, adopting) }
                try claim.save(about: ids[0])
                for id in ids {
                    let steps = claim[id]?.stepsToTake(kernelGroup: claim.kernelGroup, forced: forced) ?? []
                    try await claim.take(steps, of: id, deadline: deadline)
                }
                // What is read of the host from here on shows them taken: nobody is to find them lost.
                await keeper?.refresh()
                for id in ids { claim.update(id) { $0.goal = .hold } }
                do throws(StepFailure) { try claim.save(about: ids[0]) } catch {
                    for id in ids { claim.update(id) { $0.goal = .take } }
                    throw error
                }
                return nil
            } catch { return error }
        }
        claim.taking = task
        let watch = watchProgress(of: claim, ids, progress)
        let failure = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
        watch?.cancel()
        claim.taking = nil
        guard var failure else { return changed() }
        // A daemon that ends leaves it to the next.
        guard !isStopped else { throw .stopped }
        let unrestored = await undo(ids, of: claim)
        if case .stopped = failure.cause {
            // Nobody waits for an answer of it when who asked for it has gone.
            if Task.isCancelled || isStopped { throw .stopped }
            failure.cause = .reason("the claim was released before it was made")
            failure.remedy = "claim the group again when it is free"
        }
        // Where all is as before, it is what it would have been a moment earlier.
        if !failure.uses.isEmpty, unrestored.isEmpty { throw .inUse(failure.uses) }
        failure.remarks = claim.remarks(ids)
        throw .failed(failure, unrestored: unrestored)
    }

    /// Sends groups back that could not be handed over; the error, with what of them is not as it was.
    private func undoing(
        _ ids: [GroupID], of claim: ActiveClaim, after error: TakeoverError
    ) async -> TakeoverError {
        let unrestored = await undo(ids, of: claim)
        guard case .failed(var failure, _) = error else { return error }
        failure.remarks = claim.remarks(ids)
        return .failed(failure, unrestored: unrestored)
    }

    /// Sends groups back that were to be taken, and says what of them is not as it was after the first try.
    @discardableResult
    func undo(_ ids: [GroupID], of claim: ActiveClaim) async -> [Unrestored] {
        guard claim.isRecorded else {
            // Nothing was done to any of them.
            claim.record.groups.removeAll { ids.contains($0.id) }
            if claim.record.groups.isEmpty { forget(claim, cause: "it could not be made") } else { changed() }
            return []
        }
        claim.beginRestoring(ids)
        return await settle(ids, of: claim)
    }

    /// Suspends until groups are back, or cannot be brought back for now; what of them is not as it was.
    func settle(_ ids: [GroupID], of claim: ActiveClaim) async -> [Unrestored] {
        do throws(LoopError) {
            try await condition.wait { [self] in
                isStopped
                    || ids.allSatisfy { id in
                        claim[id] == nil || claim.work[id]?.setback != nil
                            || claim.work[id]?.isBlocked == true
                    }
            }
        } catch {}
        return ids.flatMap { id -> [Unrestored] in
            guard let group = claim[id] else { return [] }
            let known = claim.work[id]?.unrestored ?? []
            let setback = claim.work[id]?.setback
            let waitsFor = claim.work[id]?.step?.waitsFor
            let reason = setback?.failure.reason ?? waitsFor?.sentence ?? "it is on its way back"
            let remedy = setback?.failure.remedy ?? waitsFor?.remedy
            let rest = group.members.filter { member in
                member.isTouched && !member.isRestored && !known.contains { $0.device == member.address }
            }
            return known + rest.map { Unrestored(device: $0.address, reason: reason, remedy: remedy) }
        }
    }

    func newID() -> String {
        while true {
            let id = "claim-" + hexadecimal(randomBits(), width: 16)
            if claims[id] == nil { return id }
        }
    }
}

extension ClaimedGroup {
    /// A group that is to be taken, of which nothing is known yet but its name.
    fileprivate init(taking record: GroupRecord) {
        self.init(id: record.id, kernelGroups: record.group.kernelGroups, goal: .take, members: [])
    }
}

extension Owner {
    /// Who it is, in words.
    public var text: String { "uid \(uid), process \(process.pid)" + (command.map { " (\($0))" } ?? "") }
}
