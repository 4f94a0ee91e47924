// The last boot: what was different at the start, and what this boot leaves to the next.

import EventLoop
import Files
import Grouping
import Host
import Registry
import Takeover

extension Keeper {
    /// Compares the groups with those of the boot before, and has this boot remembered.
    ///
    /// - Parameters:
    ///   - memory: where boots are remembered.
    ///   - onProblem: called with what of it cannot be used.
    /// - Returns: what is different; nil where no earlier boot is known.
    /// - Throws: what of the memory cannot be read or written.
    @discardableResult
    public func rememberBoot(
        in memory: BootMemory, onProblem: (String) -> Void
    ) throws(FileFailure) -> BootComparison? {
        self.memory = memory
        let now = RememberedBoot(snapshot, bootID: host.bootID)
        if let before = try memory.previousBoot(than: host.bootID, onProblem: onProblem) {
            lastBoot = BootComparison(of: before, with: now, explain: reason, separate: separation)
            takeover.knownDevices = KnownDevices(
                lastBoot: before, accepted: try memory.accepted(inBoot: host.bootID, onProblem: onProblem))
        }
        try memory.save(now)
        return lastBoot
    }

    /// Has the next boot find the groups as they are now, devices that came and went meanwhile included.
    public func updateMemory() throws(FileFailure) {
        guard let memory, snapshot.generation > 1 else { return }
        try memory.save(RememberedBoot(snapshot, bootID: host.bootID))
    }

    /// Has a restart of the daemon know which other devices were accepted.
    func saveAccepted() {
        guard let memory else { return }
        do throws(FileFailure) {
            try memory.save(accepted: takeover.knownDevices.accepted, inBoot: host.bootID)
        } catch {
            report("a restart of the daemon will forget that another device was accepted: \(error)")
        }
    }

    /// Why the members of a group are together, in words.
    private func reason(_ id: GroupID) -> String? {
        guard let group = snapshot.group(id)?.group else { return nil }
        return explainers.explainer(of: snapshot).explain(group).edges.first?.sentence.withoutFullStop
    }

    /// What keeps two groups apart, in words.
    private func separation(_ first: GroupID, _ second: GroupID) -> String? {
        guard let a = snapshot.group(first)?.group, let b = snapshot.group(second)?.group else { return nil }
        let explanation = explainers.explainer(of: snapshot).explain(
            a.members[0], in: a, apartFrom: b.members[0], in: b, reasons: [])
        return explanation.findings.first?.sentence.withoutFullStop
    }
}

extension String {
    /// For a sentence in brackets.
    fileprivate var withoutFullStop: String { hasSuffix(".") ? String(dropLast()) : self }
}
