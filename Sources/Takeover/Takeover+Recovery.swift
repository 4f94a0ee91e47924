// The start: every claim that is on record is found again, and what was half done is finished or undone.

public import EventLoop
import Files
import Grouping
import Host
import Inventory
import Registry

extension Takeover {
    /// Takes up what is on record. To be called once, with the registry built, before anybody is served.
    ///
    /// - Parameters:
    ///   - left: what came back from the store of descriptors.
    ///   - keeper: who keeps the registry, and is told of claims from now on.
    /// - Throws: why the journal cannot be read or put in order.
    public func recover(_ left: [StoredDescriptor] = [], for keeper: any RegistryKeeper) throws(FileFailure) {
        self.keeper = keeper
        let contents = try journal.load()
        problems = contents.problems
        quarantines = contents.quarantines.mapValues(\.reason)
        // The oldest claim first: of groups that were joined the result is called what that one calls it.
        keeper.keepIdentities(
            of: contents.claims.flatMap(\.groups).map { KnownGroup($0.id, $0.members.map(\.address)) }
                + contents.quarantines.sorted { $0.key < $1.key }.map { KnownGroup($0.key, $0.value.members) })
        for record in contents.claims {
            let claim = ActiveClaim(record, of: self)
            claim.isRecorded = true
            claims[claim.id] = claim
        }
        match(left)
        for claim in claims.values.sorted(by: { $0.id < $1.id }) { takeUp(claim) }
        changed()
    }

    private func takeUp(_ claim: ActiveClaim) {
        // A claim without groups was over when the daemon was killed.
        guard !claim.record.groups.isEmpty else { return forget(claim, cause: "all of its groups were back") }
        // What cannot be found out now is found out by who waits for its end: until then it counts as alive.
        claim.ownerEnded = (try? host.hasEnded(claim.record.owner.process)) ?? false
        // Connections end with the daemon; a claim that was not yet promised has nobody who waits for it.
        let isOver = claim.record.lifetime == .connection || claim.record.lifetime == .process && claim.ownerEnded
        // Before anything is sent back: its consumer may live on, whatever became of its owner. When it does not, that will
        // be seen. What is kept was not handed over: the last daemon was killed before.
        let wasHandedOver = claim.record.access != .hold && !claim.hasAll
        if wasHandedOver {
            claim.consumer = Consumer(of: claim.record.access, at: host.now)
        } else {
            claim.record.access = .hold
        }
        let back = claim.record.groups.filter { $0.goal != .hold || isOver }.map(\.id)
        if !back.isEmpty { claim.beginRestoring(back) }
        guard claim.record.goal == .hold else { return }
        if !claim.ownerEnded { watchOwner(of: claim) }
        if wasHandedOver { watchConsumers() }
        for group in claim.record.groups where group.goal == .hold { holdAgain(group.id, of: claim) }
    }

    /// What came back of a group keeps it owned. The other descriptors of the daemon before are closed, and with them the
    /// ownership that they were of.
    private func holdAgain(_ group: GroupID, of claim: ActiveClaim) {
        claim.work[group]?.task = EventLoop.main.spawn { [self] in
            let context = StepContext(group: group, step: .own(kernelGroup: 0), deadline: nil)
            do throws(StepFailure) {
                try await claim.awaitWorkers(about: nil, context)
                try await claim.confirm(group, context)
                if claim.consumer != nil {
                    try await claim.raiseBarriersAgain(group)
                } else {
                    if !claim.ownableGroups(of: group).allSatisfy(claim.owns) {
                        claim.beginUnowned(group, cause: ActiveClaim.betweenDaemons)
                    }
                    try await claim.regain(group)
                }
            } catch {
                if case .stopped = error.cause { return }
                // A member without its vfio driver is found below, and taken again where that is safe.
                report("group \(group) of claim \(claim.id): \(error.reason)")
            }
            claim.saveOrReport()
            claim.work[group]?.task = nil
            changed()
            claim.look(at: group)
        }
    }

    /// Puts a group on record as it was found, and has it owned.
    func adopt(
        _ record: GroupRecord, name: String?, lifetime: Lifetime, for owner: Owner
    ) async throws(TakeoverError) -> ClaimView {
        let group = ClaimedGroup(
            id: record.id, kernelGroups: record.group.kernelGroups, goal: .take, members: [])
        let claim = ActiveClaim(
            Claim(
                id: newID(), name: name, owner: owner, since: wallClock(), lifetime: lifetime, access: .hold,
                groups: [group]),
            of: self)
        try checkStore(for: claim.record.storeDemand)
        claims[claim.id] = claim
        changed()
        try await take([record.id], for: claim, nil, adopting: true)
        watchOwner(of: claim)
        publish(.adopted(record.id), claim, cause: "adopted by \(owner.text)")
        return ClaimView(claim)
    }
}
