// Pools of ZFS. The kernel tells which there are and not on which disks they lie; only /dev/zfs would tell, whose calls
// change with every release. So a pool may be on any disk of which nothing else is known. What udev has read from the
// disks narrows that down: a disk on which it found something else is none of ZFS.

import EventLoop
import Host

/// The pools, and what udev knows of the disks.
struct ZFSPools: Equatable, Sendable {
    /// The pools that are imported.
    var names: Set<String> = []
    /// What udev found on block devices, by their names.
    var found: [String: Content] = [:]

    /// What is on a block device.
    enum Content: Equatable, Sendable {
        /// A part of this pool.
        case pool(String)
        /// Something else, of itself.
        case other
        /// A table of partitions, which are to be looked at.
        case partitions
    }

    /// What the record of udev says (/run/udev/data/bMAJOR:MINOR, whose lines "E:NAME=VALUE" come from the probing of
    /// libblkid); nil where it says nothing.
    static func content(ofRecord lines: [String]) -> Content? {
        var values: [Substring: Substring] = [:]
        for line in lines where line.hasPrefix("E:") {
            let parts = line.dropFirst(2).split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[parts[0]] = parts[1] }
        }
        if let type = values["ID_FS_TYPE"] {
            return type == "zfs_member" ? .pool(values["ID_FS_LABEL"].map { String($0) } ?? "") : .other
        }
        // A partition that is reserved for Windows or a boot loader has no content that is known.
        if let type = values["ID_PART_ENTRY_TYPE"], emptyTypes.contains(type) { return .other }
        return values["ID_PART_TABLE_TYPE"] == nil ? nil : .partitions
    }

    private static let emptyTypes: Set<Substring> = [
        "e3c9e316-0b5c-4db8-817d-f92df00215ae", "21686148-6449-6e6f-744e-656564454649",
    ]

    /// What follows for disks that are not known to be used otherwise.
    func kinds(_ own: [BlockDevice]) -> [DeviceUse.Kind] {
        guard !names.isEmpty else { return [] }
        var pools: Set<String> = []
        var isOpen = false
        for block in own where block.number != nil {
            switch found[block.name] {
            case .pool(let pool) where names.contains(pool): pools.insert(pool)
            // Of a pool that is not imported.
            case .pool, .other: break
            case .partitions:
                // Of a table that the kernel does not go by, the partitions are not there to be looked at.
                if !own.contains(where: { $0.name != block.name && $0.name.hasPrefix(block.name) }) { isOpen = true }
            case nil: isOpen = true
            }
        }
        if !pools.isEmpty { return pools.sorted().map { .stacked(holder: "the ZFS pool \($0)") } }
        guard isOpen else { return [] }
        let list = names.sorted().joined(separator: ", ")
        return [
            .unknown(
                reason: "ZFS does not tell on which disks its pool\(names.count == 1 ? "" : "s") \(list) "
                    + "\(names.count == 1 ? "is" : "are"); zpool status -LP does")
        ]
    }
}

extension ZFSPools {
    /// Reads the pools: each has a folder, mounted or not (spa_stats_init in module/zfs/spa_stats.c of OpenZFS).
    @LoopActor static func read(_ facts: StorageFacts) -> ZFSPools {
        let folder = ["spl", "kstat", "zfs"]
        var pools = ZFSPools()
        // What is no folder lists nothing.
        pools.names = Set(facts.proc.names(folder).filter { !facts.proc.names(folder + [$0]).isEmpty })
        for mount in facts.mounts where mount.type == "zfs" {
            pools.names.insert(String(mount.source.prefix { $0 != "/" && $0 != "@" }))
        }
        guard !pools.names.isEmpty else { return pools }
        for block in facts.blocks {
            guard let number = block.number else { continue }
            let lines = facts.run.lines("b" + number, in: ["udev", "data"])
            if let content = content(ofRecord: lines) { pools.found[block.name] = content }
        }
        return pools
    }
}
