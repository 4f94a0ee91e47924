// The DMA windows of a group: what the platform says at boot, and once a claim has attached it, what the kernel said.

import EventLoop
import Grouping
import Registry
import Takeover

extension Keeper {
    /// The windows of a group of the present snapshot, worked out now.
    public func windows(of record: GroupRecord) -> [DMAWindow] {
        let windows = DMAWindow.windows(of: record.group, in: snapshot.inventory, endpoints: snapshot.endpoints)
        return DMAWindow.attached(windows, ranges: record.claim.flatMap { takeover.ranges(ofClaim: $0) } ?? [])
    }
}
