// How far a claim is with its groups, told to who asked for it: every step, every wait and its end, and from time to time
// that it still lasts.

import EventLoop
import Grouping
import Host
import Inventory
import Registry

/// What was last told of a group.
private struct Told {
    var step: Int
    var isBlocked: Bool
    var waitsFor: String?
    var at: MonotonicTime

    init(_ progress: ClaimProgress, at time: MonotonicTime) {
        step = progress.step
        isBlocked = progress.operation.isBlocked
        waitsFor = progress.operation.waitsFor
        at = time
    }

    /// Whether there is something else to tell by now.
    func isOutdated(by progress: ClaimProgress) -> Bool {
        step != progress.step || isBlocked != progress.operation.isBlocked
            || waitsFor != progress.operation.waitsFor
    }
}

extension Takeover {
    /// Tells how far groups are, until the task is cancelled; nil where nobody asked.
    func watchProgress(
        of claim: ActiveClaim, _ ids: [GroupID], _ progress: (@LoopActor (ClaimProgress) -> Void)?
    ) -> Task<Void, Never>? {
        guard let progress else { return nil }
        return EventLoop.main.spawn { [condition, host, heartbeat = timing.heartbeat] in
            var told: [GroupID: Told] = [:]
            while !Task.isCancelled {
                for id in ids {
                    guard let operation = ClaimProgress(claim, id) else {
                        told[id] = nil
                        continue
                    }
                    if let last = told[id], !last.isOutdated(by: operation), host.now < last.at + heartbeat { continue }
                    told[id] = Told(operation, at: host.now)
                    progress(operation)
                }
                let due = told.values.map(\.at).min().map { $0 + heartbeat }
                do throws(LoopError) {
                    try await condition.wait(until: due, by: host) {
                        ids.contains { id in
                            guard let operation = ClaimProgress(claim, id) else { return false }
                            return told[id]?.isOutdated(by: operation) ?? true
                        }
                    }
                } catch { return }
            }
        }
    }

    /// What is to be known, in a sentence each, of groups that are not as they should be.
    public var remarks: [String] {
        views.flatMap { view in
            view.groups.compactMap { group -> String? in
                let title =
                    "\(group.record.id) of \(view.claim.id)" + (view.claim.name.map { " (\($0))" } ?? "")
                    + " is \(group.state.name)"
                if let operation = group.operation, let waitsFor = operation.waitsFor {
                    return "\(title): \(operation.action): \(waitsFor); \(operation.remedy ?? "")"
                }
                return group.state.reason.map { "\(title): \($0)" }
            }
        }
    }
}

extension ClaimProgress {
    /// A group that another claim has, and that is waited for.
    init?(waitingFor obstacle: TakeoverError, since began: MonotonicTime, now: MonotonicTime) {
        guard case .groupBusy(let group, let state, let claim) = obstacle else { return nil }
        let who = claim.map { "\($0.title) of \($0.owner.text) has the group" }
        self.init(
            group: group,
            operation: GroupOperation(
                action: "wait for the group", step: 1, steps: 1, seconds: began.duration(until: now) / .seconds(1),
                isBlocked: false,
                waitsFor: who ?? "it is \(state)",
                remedy: claim.map { "vfiogroupctl release \($0.id) takes it back" }))
    }
}
