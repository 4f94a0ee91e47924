// The last boot: what was different at the start, and what this boot leaves to the next.

import EventLoop
import GroupAPI
import Grouping
import Host
import Registry
import Takeover

extension GroupService {
    /// Compares the groups with those of the boot before, and has this boot remembered.
    ///
    /// - Returns: what is different; nil where no earlier boot is known.
    @discardableResult
    public func rememberBoot(
        in memory: BootMemory, onProblem: (String) -> Void
    ) throws(FileFailure) -> BootComparison? {
        self.memory = memory
        let now = RememberedBoot(snapshot, bootID: host.bootID)
        if let before = try memory.previousBoot(than: host.bootID, onProblem: onProblem) {
            let snapshot = snapshot
            let comparison = BootComparison(of: before, with: now) { id in
                guard let group = snapshot.group(id)?.group else { return nil }
                return explainers.explainer(of: snapshot).explain(group).edges.first?.sentence
            }
            lastBoot = comparison
            var replaced: [DeviceAddress: DeviceUse.Kind] = [:]
            for device in snapshot.inventory.devices where !comparison.replacements.isEmpty {
                guard let replacement = comparison.replacements[device.address.description] else { continue }
                replaced[device.address] = .replaced(before: replacement.before, now: replacement.now)
            }
            takeover?.replaced = replaced
        }
        try memory.save(now)
        return lastBoot
    }

    /// Has the next boot find the groups as they are now, devices that came and went meanwhile included.
    public func updateMemory() throws(FileFailure) {
        guard let memory, snapshot.generation > 1 else { return }
        try memory.save(RememberedBoot(snapshot, bootID: host.bootID))
    }
}

extension Manager.LastBoot {
    init(_ comparison: BootComparison) {
        self.init(
            kernelRelease: comparison.kernel,
            changes: comparison.changes.map { change in
                .init(
                    kind: .init(change.kind), groups: change.groups,
                    device: change.device.map { text in
                        let parts = text.split(separator: "/", maxSplits: 1).map(String.init)
                        return parts.count == 2 ? .init(bus: parts[0], name: parts[1]) : .init(bus: "pci", name: text)
                    }, sentence: change.sentence, cause: change.cause)
            })
    }
}

extension Manager.BootChangeKind {
    fileprivate init(_ kind: BootComparison.Change.Kind) {
        switch kind {
        case .appeared: self = .appeared
        case .went: self = .went
        case .joined: self = .joined
        case .split: self = .split
        case .renumbered: self = .renumbered
        case .replaced: self = .replaced
        }
    }
}
