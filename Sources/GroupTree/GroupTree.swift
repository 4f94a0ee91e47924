// The tree of groups for people with a shell, /run/vfiogroupd/groups: a folder a group, each replaced as a whole, so that
// a reader sees it as it was or as it is. It follows the registry a moment behind, in slices that let others have their
// turn; whoever needs the truth of this moment asks over the socket.

import CLinux
import EventLoop
import Files
import Glibc
import Grouping
import Keeper
import Registry

/// The tree, kept current until it is removed.
@LoopActor
public final class GroupTree {
    /// The folder that holds the groups' folders.
    public let path: String
    private let render: @LoopActor (GroupID) -> GroupFolder?
    private let onFailure: @LoopActor (FileFailure) -> Void
    /// The names of folders that are to be looked at.
    private var pending: Set<String> = []
    private var task: Task<Void, Never>?
    private var hasFailed = false
    private var isRemoved = false

    /// The texts that many groups have, by the number of the file that holds one in `shared`. A file of tmpfs takes a page
    /// however short it is: without this the tree of 10,000 groups takes 280 MB of memory, with it less than a third.
    private var sharedTexts: [String: Int] = [:]

    /// The attributes whose texts are few on any host, and how many texts are shared at most.
    private static let sharable: Set = ["state", "backend", "host_bridges", "dma_windows", "complete", "reason"]
    private static let mostShared = 4096
    /// The folder of what is shared: files in it are hard links' other names, and are never written again.
    private static let shared = ".shared"

    /// Folders in the making, and those that were replaced: what a daemon that was killed leaves is removed by the next.
    private static let unfinished = ".new-"

    /// Makes the folder if it is not there; what an earlier daemon left in it is brought up to date like anything else.
    ///
    /// - Parameters:
    ///   - path: the folder.
    ///   - render: gives a group's folder as it should be now; nil when there is no such group.
    ///   - onFailure: called with what cannot be written, once until it can.
    /// - Throws: why there is no such folder that only its owner writes to.
    init(
        path: String, render: @escaping @LoopActor (GroupID) -> GroupFolder?,
        onFailure: @escaping @LoopActor (FileFailure) -> Void
    ) throws(FileFailure) {
        self.path = path
        self.render = render
        self.onFailure = onFailure
        try makeOwnFolder(path, mode: 0o755)
        chmod(path, 0o755)
        try Self.remove(path + "/" + Self.shared)
        pending = Set(try names(inFolder: path))
        if mkdir(path + "/" + Self.shared, 0o700) < 0 {
            throw FileFailure(path: path + "/" + Self.shared, call: "mkdir", errno: errno)
        }
    }

    /// Has the folders of these groups brought up to date.
    func update(_ groups: some Sequence<GroupID>) {
        guard !isRemoved else { return }
        pending.formUnion(groups.lazy.map(\.text))
        guard task == nil, !pending.isEmpty else { return }
        task = EventLoop.main.spawn { [self] in
            await work()
            task = nil
        }
    }

    /// Suspends until all that was asked for is done.
    public func settle() async {
        while let task { await task.value }
    }

    /// Removes all of it: what nobody keeps current any more would mislead.
    public func remove() async {
        isRemoved = true
        pending = []
        await settle()
        for (count, name) in ((try? names(inFolder: path)) ?? []).enumerated() {
            if count % 16 == 15 { await EventLoop.main.yield() }
            try? Self.remove(path + "/" + name)
        }
        rmdir(path)
    }

    private func work() async {
        var count = 0
        while let name = pending.popFirst() {
            do throws(FileFailure) {
                if let id = GroupID(name), let folder = render(id) {
                    try replace(name, with: folder)
                } else {
                    try Self.remove(path + "/" + name)
                }
                hasFailed = false
            } catch {
                // Once is enough: a file system that is full fails for every group.
                if !hasFailed { onFailure(error) }
                hasFailed = true
            }
            count += 1
            // A folder takes about a tenth of a millisecond.
            if count % 8 == 0 { await EventLoop.main.yield() }
        }
    }

    private func replace(_ name: String, with folder: GroupFolder) throws(FileFailure) {
        let final = path + "/" + name
        let new = path + "/" + Self.unfinished + name
        try Self.remove(new)
        do throws(FileFailure) { try write(folder, to: new) } catch {
            try? Self.remove(new)
            throw error
        }
        if rename(new, final) == 0 { return }
        // It is there already, and a folder that has something in it is not renamed over.
        let outcome = clinux_exchange(new, final)
        if outcome == -EINVAL {
            // A file system that cannot exchange: the group is missing for a moment, and never half there.
            try Self.remove(final)
            guard rename(new, final) == 0 else { throw FileFailure(path: final, call: "rename", errno: errno) }
            return
        }
        try Self.remove(new)
        guard outcome == 0 else { throw FileFailure(path: final, call: "renameat2", errno: -outcome) }
    }

    private func write(_ folder: GroupFolder, to path: String) throws(FileFailure) {
        for part in [path, path + "/devices", path + "/bridges"] {
            guard mkdir(part, 0o755) == 0 else { throw FileFailure(path: part, call: "mkdir", errno: errno) }
            // Reading is open, whatever the daemon's umask is.
            chmod(part, 0o755)
        }
        for (name, text) in folder.files { try write(text, to: path + "/" + name, as: name) }
        for (links, part) in [(folder.devices, "devices"), (folder.bridges, "bridges")] {
            for (name, target) in links {
                let link = "\(path)/\(part)/\(name)"
                guard symlink(target, link) == 0 else { throw FileFailure(path: link, call: "symlink", errno: errno) }
            }
        }
    }

    /// Writes an attribute, or makes it another name of a file that has the same text.
    private func write(_ text: String, to file: String, as name: String) throws(FileFailure) {
        let isSharable = Self.sharable.contains(name) && !text.isEmpty
        if isSharable, let number = sharedTexts[text], link("\(path)/\(Self.shared)/\(number)", file) == 0 { return }
        try writeFile(Array(text.utf8), to: file, mode: 0o444)
        guard isSharable, sharedTexts[text] == nil, sharedTexts.count < Self.mostShared else { return }
        let number = sharedTexts.count
        // What cannot be linked is written anew for each group.
        if link(file, "\(path)/\(Self.shared)/\(number)") == 0 { sharedTexts[text] = number }
    }

    /// Removes a file, a link or a folder with all that is in it; what is not there is no error.
    private static func remove(_ path: String) throws(FileFailure) {
        if unlink(path) == 0 || errno == ENOENT { return }
        guard errno == EISDIR || errno == EPERM else { throw FileFailure(path: path, call: "unlink", errno: errno) }
        for name in try names(inFolder: path) { try remove(path + "/" + name) }
        guard rmdir(path) == 0 || errno == ENOENT else { throw FileFailure(path: path, call: "rmdir", errno: errno) }
    }
}

extension GroupTree {
    /// Keeps a tree of a keeper's groups in a folder from now on.
    ///
    /// - Parameters:
    ///   - keeper: whose groups they are.
    ///   - path: the folder.
    ///   - sysfs: where links to devices lead: `/sys`, and for a machine that is not this one somewhere else.
    ///   - onFailure: called with what cannot be written, once until it can.
    /// - Throws: why there is no such folder that only its owner writes to.
    public convenience init(
        of keeper: Keeper, at path: String, sysfs: String, onFailure: @escaping @LoopActor (FileFailure) -> Void
    ) throws(FileFailure) {
        try self.init(
            path: path,
            render: { [weak keeper] id in
                guard let keeper, let record = keeper.snapshot.group(id) else { return nil }
                return GroupFolder(
                    record, windows: keeper.windows(of: record), uses: keeper.uses.uses(of: record), sysfs: sysfs)
            }, onFailure: onFailure)
        keeper.observe { [weak self] change in self?.update(change.groups) }
        update(keeper.snapshot.groups.lazy.map(\.id))
    }
}
