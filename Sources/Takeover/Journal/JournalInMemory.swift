// A journal for simulated machines: what they are ends with the daemon, and so does what is on record of them.

import EventLoop
import Files
import Grouping

/// A journal that nothing outlives.
@LoopActor
public final class JournalInMemory: ClaimJournal {
    private var claims: [String: Claim] = [:]
    private var quarantines: [GroupID: Quarantine] = [:]

    public nonisolated init() {}

    public func save(_ claim: Claim) throws(FileFailure) { claims[claim.id] = claim }
    public func remove(_ id: String) throws(FileFailure) { claims[id] = nil }
    public func setQuarantine(_ quarantine: Quarantine?, of group: GroupID) throws(FileFailure) {
        quarantines[group] = quarantine
    }
    public func load() throws(FileFailure) -> JournalContents {
        JournalContents(claims: Array(claims.values), quarantines: quarantines)
    }
}
