// Which mounts are kept of tables that any user may blow up: in a user namespace of their own, users mount file systems of
// some types, and bind what there is as often as the kernel lets them (sysctl fs.mount-max, 100,000 in each namespace).

/// Takes mounts line by line, and keeps as many as it takes to say what is mounted. Its memory does not grow with the tables.
struct MountStream: Sendable {
    /// What is kept, in the order in which it came.
    private(set) var mounts: [Mount] = []
    /// A line was longer than the kernel makes them, or there were more file systems than are kept.
    private(set) var isIncomplete = false
    /// Files whose file systems are looked for: all mounts on the way to them are kept.
    private let files: [String]
    private var rest: [UInt8] = []
    private var counts: [FileSystem: Int] = [:]
    private var kept: Set<Mount> = []

    private struct FileSystem: Hashable {
        var number: String
        var type: String
        var source: String
    }

    /// So many mount points of one file system are kept.
    private static let mostPoints = 8
    /// So many file systems are kept. A user cannot make as many of those that are kept.
    private static let mostFileSystems = 16_384
    /// A mount point takes at most PATH_MAX characters of four bytes each, and so do its root and its options.
    private static let longestLine = 1 << 17

    /// Types that users mount by themselves (FS_USERNS_MOUNT in the kernel's source), none of which is ever on a disk: what
    /// they call their source is any word.
    private static let types: Set<String> = [
        "tmpfs", "ramfs", "proc", "sysfs", "mqueue", "devpts", "overlay", "fuse", "cgroup", "cgroup2", "binfmt_misc",
        "bpf",
    ]

    init(files: [String] = []) { self.files = files }

    /// Takes the next bytes of a table.
    mutating func add(_ bytes: some Collection<UInt8>) {
        var lines = (rest + bytes)[...]
        while let end = lines.firstIndex(of: 0x0a) {
            take(lines[..<end])
            lines = lines[(end + 1)...]
        }
        rest = Array(lines)
        if rest.count > Self.longestLine {
            isIncomplete = true
            rest = []
        }
    }

    /// Ends a table; another may follow.
    mutating func endTable() {
        if !rest.isEmpty { take(rest[...]) }
        rest = []
    }

    private mutating func take(_ line: ArraySlice<UInt8>) {
        guard let mount = Mount(line: line), !Self.types.contains(mount.type) else { return }
        let system = FileSystem(number: mount.number, type: mount.type, source: mount.source)
        let count = counts[system] ?? 0
        guard count < Self.mostPoints || files.contains(where: { $0.isBelow(mount.point) }) else { return }
        guard count > 0 || counts.count < Self.mostFileSystems else {
            isIncomplete = true
            return
        }
        guard kept.insert(mount).inserted else { return }
        counts[system] = count + 1
        mounts.append(mount)
    }
}

extension String {
    /// Whether the path lies in the folder.
    func isBelow(_ folder: String) -> Bool {
        folder == "/" || hasPrefix(folder.hasSuffix("/") ? folder : folder + "/")
    }
}
