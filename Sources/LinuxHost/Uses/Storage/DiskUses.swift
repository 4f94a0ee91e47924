// What is on the disks of a host: which of it is mounted, swapped to, or stacked on. No I/O.

import Host
import Inventory

/// The disks of a host, what stands on them, and what is mounted of it.
struct DiskUses: UseSource {
    var blocks: [BlockDevice] = []
    var mounts: [Mount] = []
    /// The MAJOR:MINOR of what is swapped to.
    var swaps: [String] = []
    /// Why the use of disks is not known in full; of a device that has none it says nothing.
    var unknown: [String] = []
    /// Why it is not known in full which disks there are.
    var unread: String?

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        disks(of: subject) + (unread.map { [.unknown(reason: $0)] } ?? [])
    }

    private func disks(of subject: UseSubject) -> [DeviceUse.Kind] {
        let own = blocks.filter { $0.paths.contains(where: subject.has) }
        guard !own.isEmpty else { return [] }
        let stack = BlockStack(blocks)
        let involved = stack.withAllAbove(own.map(\.name))
        var kinds: [DeviceUse.Kind] = []
        for block in involved { kinds += direct(block) }
        let isUsed = !kinds.isEmpty
        for block in involved {
            for holder in block.holders where !stack.withAllAbove([holder]).contains(where: { !direct($0).isEmpty }) {
                kinds.append(.stacked(holder: holder))
            }
        }
        if !isUsed, mounts.contains(where: { $0.type == "zfs" }) {
            kinds.append(.unknown(reason: "a ZFS pool is in use, and it is not known on which disks"))
        }
        // What could not be read may be about any disk that can be mounted.
        guard own.contains(where: { !$0.isEmpty }) else { return kinds }
        return kinds + unknown.map { .unknown(reason: $0) }
    }

    private func direct(_ block: BlockDevice) -> [DeviceUse.Kind] {
        guard let number = block.number else { return [] }
        var points: Set<String> = []
        for mount in mounts where mount.number == number { points.insert(mount.point) }
        return points.sorted().map { .mounted(at: $0, via: block.name) }
            + (swaps.contains(number) ? [.swap(via: block.name)] : [])
    }
}
