// Physical volumes of LVM. The kernel knows of volumes, which stack on their disks, and not of groups: a disk of a
// group on which no volume lies yet looks idle, and the group breaks without it. LVM leaves what it found in /run/lvm.

import EventLoop
import Host

/// A physical volume, a file of /run/lvm/pvs_online (online_pvid_file_create in lvm2's lib/device/online.c):
/// "MAJOR:MINOR", "vg:NAME", "dev:PATH", each on a line.
struct PhysicalVolume: Equatable, Sendable {
    var number: String
    var group: String

    init?(_ lines: [String]) {
        guard let number = lines.first, let group = lines.first(where: { $0.hasPrefix("vg:") })?.dropFirst(3),
            !group.isEmpty
        else { return nil }
        (self.number, self.group) = (number, String(group))
    }
}

extension BlockUses {
    /// Physical volumes of the groups that have a volume in the kernel.
    @LoopActor mutating func addPhysicalVolumes(_ facts: StorageFacts) {
        let active = Set(facts.blocks.compactMap { $0.logicalVolume?.group })
        guard !active.isEmpty else { return }
        let folder = ["lvm", "pvs_online"]
        let volumes = facts.run.names(folder).compactMap { PhysicalVolume(facts.run.lines($0, in: folder)) }
        add(volumes, active, facts.blocks)
    }

    /// Those that have a volume of the group on them say so by the volume.
    mutating func add(_ volumes: [PhysicalVolume], _ active: Set<String>, _ blocks: [BlockDevice]) {
        let stack = BlockStack(blocks)
        for volume in volumes where active.contains(volume.group) {
            for block in blocks where block.number == volume.number {
                if block.holders.contains(where: { stack[$0]?.logicalVolume?.group == volume.group }) { continue }
                add(.volumeGroup(volume.group, via: block.name), to: block.name)
            }
        }
    }
}
