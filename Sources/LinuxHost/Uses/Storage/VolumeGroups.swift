// Physical volumes of LVM. The kernel knows of volumes, which stack on their disks, and not of groups: a disk of a
// group on which no volume lies yet looks idle, and the group breaks without it. LVM leaves what it found in /run/lvm, and
// udev which disks are LVM's at all.

import EventLoop
import Host

/// A physical volume and its group.
struct PhysicalVolume: Equatable, Sendable {
    /// MAJOR:MINOR
    var number: String
    var group: String

    /// - Parameter lines: a file of /run/lvm/pvs_online (online_pvid_file_create in lvm2's lib/device/online.c), which is
    ///   written when a disk appears: "MAJOR:MINOR", "vg:NAME", "dev:PATH", each on a line.
    init?(_ lines: [String]) {
        guard let number = lines.first, let group = lines.first(where: { $0.hasPrefix("vg:") })?.dropFirst(3),
            !group.isEmpty
        else { return nil }
        (self.number, self.group) = (number, String(group))
    }

    /// - Parameter hint: a line of /run/lvm/hints (write_hint_file in lvm2's lib/label/hints.c), which the last command that
    ///   listed volumes wrote: "scan:/dev/nvme1n1 pvid:ABC devn:259:2 vg:NAME"; "vg:-" for one in no group.
    init?(hint: String) {
        let words = hint.split(separator: " ")
        func value(_ key: String) -> String? {
            words.first { $0.hasPrefix(key) }.map { String($0.dropFirst(key.count)) }
        }
        guard words.first?.hasPrefix("scan:") == true, let number = value("devn:"), let group = value("vg:"),
            group != "-", !group.isEmpty
        else { return nil }
        (self.number, self.group) = (number, group)
    }
}

extension BlockUses {
    /// Physical volumes of the groups that have a volume in the kernel.
    @LoopActor mutating func addPhysicalVolumes(_ facts: StorageFacts) {
        let active = Set(facts.blocks.compactMap { $0.logicalVolume?.group })
        guard !active.isEmpty else { return }
        let folder = ["lvm", "pvs_online"]
        let volumes =
            facts.run.names(folder).compactMap { PhysicalVolume(facts.run.lines($0, in: folder)) }
            + facts.run.lines("hints", in: ["lvm"]).compactMap { PhysicalVolume(hint: $0) }
        add(volumes, active, facts.blocks)
        let known = Set(volumes.map(\.number))
        for block in facts.blocks where block.holders.isEmpty {
            guard let number = block.number, !known.contains(number) else { continue }
            let properties = facts.run.lines("b\(number)", in: ["udev", "data"])
            guard properties.contains("E:ID_FS_TYPE=LVM2_member") else { continue }
            add(
                .unknown(
                    reason: "\(block.name) on it is a physical volume of LVM, and LVM has not recorded of which group: "
                        + "`pvscan --cache /dev/\(block.name)` records it"),
                to: block.name)
        }
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
