// Differences from the last boot in the words of io.vfiogroupd.Manager.

import GroupAPI
import Registry

extension Manager.LastBoot {
    init(_ comparison: BootComparison) {
        self.init(
            kernelRelease: comparison.kernel,
            changes: comparison.changes.map { change in
                .init(
                    kind: .init(change.kind), groups: change.groups,
                    device: change.device.map { .init(text: $0) }, sentence: change.sentence, cause: change.cause)
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
