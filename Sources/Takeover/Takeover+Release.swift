// The end of claims, in all its ways, and what else may be asked of one.

import EventLoop
import Files
import Grouping
import Host
import Inventory
import Registry

extension Takeover {
    /// What a claim may map, both ends inclusive, as the kernel said; empty where there is no such claim, or it has not
    /// been attached yet.
    public func ranges(ofClaim id: String) -> [ClosedRange<UInt64>] { claims[id]?.space.ranges ?? [] }

    /// The claim as it is now.
    public func view(of name: String) throws(TakeoverError) -> ClaimView { ClaimView(try claim(named: name)) }

    /// All claims, the oldest first.
    public var views: [ClaimView] {
        claims.values.sorted { ($0.record.since, $0.id) < ($1.record.since, $1.id) }.map { ClaimView($0) }
    }

    /// Gives all groups of a claim back. Returns when they are back, or when some cannot be brought back for now: what the
    /// claim is then.
    public func release(
        _ name: String, progress: (@LoopActor (ClaimProgress) -> Void)? = nil
    ) async throws(TakeoverError) -> ClaimView {
        let claim = try claim(named: name)
        return try await giveBack(claim.record.groups.map(\.id), of: claim, progress)
    }

    /// Gives some groups of a claim back; as `release` for the others. The claim as it is then.
    public func detach(
        _ groups: [String], from name: String, progress: (@LoopActor (ClaimProgress) -> Void)? = nil
    ) async throws(TakeoverError) -> ClaimView {
        let claim = try claim(named: name)
        var ids: [GroupID] = []
        for text in groups {
            guard let group = claim.record.groups.first(where: { $0.id.text == text }) else {
                throw .noSuchGroup(text)
            }
            ids.append(group.id)
        }
        guard !ids.isEmpty else { throw .badRequest(parameter: "groups") }
        return try await giveBack(ids, of: claim, progress)
    }

    private func giveBack(
        _ ids: [GroupID], of claim: ActiveClaim, _ progress: (@LoopActor (ClaimProgress) -> Void)?
    ) async throws(TakeoverError) -> ClaimView {
        if let taking = claim.taking {
            taking.cancel()
            _ = await taking.value
        }
        let held = ids.filter { claim[$0].map { $0.goal != .restore } ?? false }
        claim.retryNow(ids.filter { !held.contains($0) })
        if !held.isEmpty { begin(held, of: claim, cause: "released") }
        let watch = watchProgress(of: claim, ids, progress)
        _ = await settle(ids, of: claim)
        watch?.cancel()
        if isStopped { throw .stopped }
        return ClaimView(claim)
    }

    private func begin(_ ids: [GroupID], of claim: ActiveClaim, cause: String) {
        guard claim.isRecorded else {
            claim.record.groups.removeAll { ids.contains($0.id) }
            return claim.record.groups.isEmpty ? forget(claim, cause: cause) : changed()
        }
        claim.beginRestoring(ids)
        publish(.changed, claim, cause: cause)
    }

    /// The owner of a claim is gone, or its connection is; a manual claim stays.
    public func ownerIsGone(_ id: String, cause: String) {
        guard let claim = claims[id] else { return }
        claim.ownerEnded = true
        guard claim.record.lifetime != .manual else { return }
        claim.taking?.cancel()
        giveUp(id, cause: cause)
    }

    /// Sends groups of a claim back that nobody has heard of, whatever its lifetime; all of them unless told otherwise.
    public func giveUp(_ id: String, groups: [GroupID]? = nil, cause: String) {
        guard let claim = claims[id] else { return }
        let held = claim.record.groups.filter { $0.goal == .hold && groups?.contains($0.id) ?? true }.map(\.id)
        if !held.isEmpty { begin(held, of: claim, cause: cause) }
    }

    func watchOwner(of claim: ActiveClaim) {
        claim.ownerTask = EventLoop.main.spawn { [weak self, known = claim.owner, id = claim.id] in
            do throws(LoopError) {
                var process = known
                if process == nil { process = try await self?.openOwner(of: id) }
                try await process?.readable()
            } catch { return }
            guard let self, let claim = claims[id] else { return }
            claim.ownerEnded = true
            if claim.record.lifetime == .process { ownerIsGone(id, cause: "its owner's process has ended") }
        }
    }

    /// The process of a claim's owner; nil when it has ended. While that cannot be found out, it is asked again.
    private func openOwner(of id: String) async throws(LoopError) -> KernelFile? {
        var pause = timing.firstRetry
        while let claim = claims[id] {
            do throws(HostError) {
                let process = try host.open(claim.record.owner.process)
                claim.owner = process
                if let process { await claim.keep(process, as: .owner) }
                return process
            } catch {
                if pause == timing.firstRetry {
                    report("claim \(id): whether its owner lives cannot be found out, and is asked again: \(error)")
                }
            }
            try await host.sleep(for: pause)
            pause = min(pause * 2, timing.lastRetry)
        }
        throw .cancelled
    }

    /// Lets a group be claimed again whose reset had failed.
    public func unquarantine(_ text: String) throws(TakeoverError) {
        guard let group = quarantines.keys.first(where: { $0.text == text }) else {
            guard let record = GroupID(text).flatMap({ snapshot.group($0) }) else { throw .noSuchGroup(text) }
            throw .wrongState(subject: text, state: record.state.name, reason: "it is not in quarantine")
        }
        do throws(FileFailure) { try journal.setQuarantine(nil, of: group) } catch { throw .journal(error) }
        quarantines[group] = nil
        changed()
    }

    /// Makes a claim of a group that was found on vfio drivers without one. Its release leaves it on them.
    public func adopt(
        _ text: String, name: String?, lifetime: Lifetime, for owner: Owner
    ) async throws(TakeoverError) -> ClaimView {
        guard let record = GroupID(text).flatMap({ snapshot.group($0) }) else { throw .noSuchGroup(text) }
        guard record.state == .orphaned, !claims.values.contains(where: { $0[record.id] != nil }),
            !record.members.contains(where: { claim(of: $0.device.address) != nil })
        else {
            throw .wrongState(
                subject: text, state: record.state.name,
                reason: "only a group on vfio drivers that nobody claimed is adopted")
        }
        if let obstacle = dependencyObstacle([record], besides: []) { throw obstacle }
        return try await adopt(record, name: name, lifetime: lifetime, for: owner)
    }
}
