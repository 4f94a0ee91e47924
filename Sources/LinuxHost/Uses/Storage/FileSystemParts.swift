// Devices that a file system has beside the one that its mounts name: logs, realtime sections, journals, further disks.
// Their file system opens them for itself, and sysfs shows no holder.

import EventLoop
import Host

extension BlockUses {
    /// XFS has names its log and its realtime section among its options, by the paths that mount was given
    /// (xfs_fs_show_options in fs/xfs/xfs_super.c).
    mutating func addParts(ofXFS mounts: [Mount], _ nodes: BlockNodes) {
        for mount in mounts where mount.type == "xfs" {
            for option in mount.options.split(separator: ",") {
                let parts = option.split(separator: "=", maxSplits: 1)
                guard parts.count == 2, let role = Self.roles[parts[0]] else { continue }
                let whole = "the XFS file system at \(mount.point)"
                add(at: String(parts[1]), nodes, what: "the \(role) of \(whole)") {
                    .part(role: role, of: whole, via: $0)
                }
            }
        }
    }

    private static let roles: [Substring: String] = ["logdev": "log device", "rtdev": "realtime device"]

    /// Journals of ext4 that lie outside of its file systems. /proc/fs/jbd2 has a folder for each journal: DEVICE-INODE
    /// for one inside, DEVICE for one that has the device to itself (jbd2_journal_init_dev in fs/jbd2/journal.c). No
    /// mount names it, but its thread is called by it, and the file system tells the thread (journal_task in
    /// fs/ext4/sysfs.c).
    @LoopActor mutating func addJournals(_ facts: StorageFacts) {
        let journals = Set(facts.proc.names(["fs", "jbd2"])).intersection(facts.blocks.map(\.name))
        guard !journals.isEmpty else { return }
        var owners: [String: String] = [:]
        for name in facts.sys.names(["fs", "ext4"]) {
            guard let task = facts.sys.text("journal_task", in: ["fs", "ext4", name]), task.allSatisfy(\.isNumber),
                let command = facts.proc.text("comm", in: [task]), command.hasPrefix("jbd2/")
            else { continue }
            owners[String(command.dropFirst("jbd2/".count))] = name
        }
        for journal in journals {
            // Older kernels cut the names of threads to fifteen letters.
            let owner = owners[journal] ?? owners[String(journal.prefix(10))]
            let whole = owner.map { facts.fileSystem("ext4", on: $0) } ?? "a file system"
            add(.part(role: "journal", of: whole, via: journal), to: journal)
        }
    }

    /// F2FS on several disks: the kernel lists them since Linux 6.10 (disk_map_seq_show in fs/f2fs/sysfs.c), as
    /// "Disk: 1 (zoned=0): 0x0000100000 - 0x00001fffff on /dev/sdb".
    @LoopActor mutating func addDisks(ofF2FS facts: StorageFacts) {
        for name in facts.proc.names(["fs", "f2fs"]) {
            let whole = facts.fileSystem("F2FS", on: name)
            for line in facts.proc.lines("disk_map", in: ["fs", "f2fs", name]) where line.hasPrefix("Disk:") {
                guard let path = line.runs(of: " on ").last.map({ String(line[$0.upperBound...]) }) else { continue }
                add(at: path, facts.nodes, what: "a disk of \(whole)") { .part(role: "disk", of: whole, via: $0) }
            }
        }
    }

    /// File systems that the kernel has in use and no process is known to see mounted: unmounted lazily while files are
    /// open, in a mount namespace that no process is in, or outside of a process's root. These types have a folder for
    /// each of theirs, named by its device (ext4_register_sysfs, xfs_mountfs, ...).
    @LoopActor mutating func addUnseen(_ facts: StorageFacts) {
        let mounted = Set(facts.mounts.map(\.number))
        for type in ["ext4", "xfs", "f2fs", "erofs", "nilfs2"] {
            let found = Set(facts.sys.names(["fs", type]))
            guard !found.isEmpty else { continue }
            for block in facts.blocks where found.contains(block.name) {
                guard let number = block.number, !mounted.contains(number) else { continue }
                add(.fileSystem(type: type, via: block.name), to: block.name)
            }
        }
    }

    /// Disks that bcache has registered and nothing stands on: a cache without a disk behind it, which may hold what
    /// was not written back yet, or a disk that waits for its cache (register_cache and register_bdev in
    /// drivers/md/bcache/super.c). Of the others their holders tell.
    @LoopActor mutating func addCaches(_ facts: StorageFacts) {
        guard !facts.sys.names(["fs", "bcache"]).isEmpty else { return }
        for block in facts.blocks where !block.name.hasPrefix("bcache") && block.holders.isEmpty {
            guard let path = block.paths.first, !facts.sys.names(path + ["bcache"]).isEmpty else { continue }
            add(.stacked(holder: "bcache"), to: block.name)
        }
    }
}
