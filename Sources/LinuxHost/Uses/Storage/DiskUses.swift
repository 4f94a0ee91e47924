// What is on the disks of a host: which of it is mounted, swapped to, stacked on, or used in a way of its own. No I/O.

import Host
import Inventory

/// The disks of a host, what stands on them, and what is mounted of it.
struct DiskUses: UseSource {
    var blocks: [BlockDevice] = []
    var mounts: [Mount] = []
    /// The MAJOR:MINOR of what is swapped to.
    var swaps: [String] = []
    /// What is used of single block devices without a holder in sysfs.
    var found = BlockUses()
    var pools = ZFSPools()
    /// The states of the controllers of disks that have several.
    var states: [String: String] = [:]
    /// Why the use of disks is not known in full; of a device that has none it says nothing.
    var unknown: [String] = []
    /// Why it is not known in full which disks there are.
    var unread: String?

    /// A disk with several paths has its node elsewhere.
    func nodes(of subject: UseSubject) -> Set<NodeNumber> {
        Set(own(subject).compactMap { $0.number.flatMap { NodeNumber($0, isBlock: true) } })
    }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        disks(of: subject) + (unread.map { [.unknown(reason: $0)] } ?? [])
    }

    private func own(_ subject: UseSubject) -> [BlockDevice] { blocks.filter { $0.paths.contains(where: subject.has) } }

    private func disks(of subject: UseSubject) -> [DeviceUse.Kind] {
        let own = own(subject)
        guard !own.isEmpty else { return [] }
        let stack = BlockStack(blocks)
        let involved = stack.withAllAbove(own.map(\.name))
        var kinds: [DeviceUse.Kind] = []
        for block in involved { kinds += direct(block) }
        for block in involved {
            for holder in block.holders where !stack.withAllAbove([holder]).contains(where: { !direct($0).isEmpty }) {
                kinds.append(.stacked(holder: stack[holder]?.label ?? holder))
            }
        }
        kinds += kinds.isEmpty ? duplicates(own, involved) : paths(subject, own, involved)
        let elsewhere = nodes(of: subject).subtracting(subject.nodes.keys)
        for opener in subject.openers where !opener.nodes.isDisjoint(with: elsewhere) {
            kinds.append(.open(pid: opener.process.pid, command: opener.command))
        }
        // What could not be found out may be about any disk that has room for a file system.
        let room = own.filter { !$0.isEmpty }
        guard !room.isEmpty else { return kinds }
        if kinds.isEmpty { kinds += pools.kinds(room) }
        return kinds + (unknown + found.unknown).map { .unknown(reason: $0) }
    }

    /// What is made of a block device itself, and not of what stands on it.
    func direct(_ block: BlockDevice) -> [DeviceUse.Kind] {
        let others = found[block.name]
        guard let number = block.number else { return others }
        var points: Set<String> = []
        for mount in mounts where mount.number == number { points.insert(mount.point) }
        return points.sorted().map { .mounted(at: $0, via: block.name) }
            + (swaps.contains(number) ? [.swap(via: block.name)] : []) + others
    }
}
