// Reading what is mounted and swapped to. Every mount namespace counts: what a container has mounted is in use, and the
// daemon's own view is its sandbox's.

import EventLoop
import Files
import Glibc
import Inventory
import PCI

extension HostUse {
    /// Reads the mounts of all namespaces, and the swap areas.
    @LoopActor
    mutating func readMounts(below root: String) async {
        let prefix = root.hasSuffix("/") ? root : root + "/"
        guard let proc = try? Directory(path: prefix + "proc") else {
            unknownDisks.append("there is no /proc")
            return
        }
        await readMountTables(proc)
        addLoops(prefix)
        resolveSources(prefix)
        do throws(SystemError) { addSwaps(SwapArea.table(try proc.readAll("swaps")), prefix) } catch {
            // A kernel without swap has no such file.
            if !error.isVanished { unknownDisks.append("/proc/swaps cannot be read: \(errorText(error.errno))") }
        }
        mounts = Array(Set(mounts))
    }

    @LoopActor
    private mutating func readMountTables(_ proc: borrowing Directory) async {
        var known: Set<String> = []
        var pids: [Int] = []
        do throws(SystemError) { pids = try proc.names().compactMap { decimal($0) }.sorted() } catch {
            unknownDisks.append("/proc cannot be listed: \(errorText(error.errno))")
        }
        // First of all, and whatever it says about its namespace.
        if pids.first == 1 { pids.removeFirst() }
        if let failure = readMountTable(1, proc) {
            unknownDisks.append("the mounts of process 1 cannot be read: \(errorText(failure.errno))")
        } else if let namespace = try? proc.link("1/ns/mnt") {
            known.insert(namespace)
        }
        for (count, pid) in pids.enumerated() {
            if count % 64 == 63 { await EventLoop.main.yield() }
            let namespace: String
            do throws(SystemError) { namespace = try proc.link("\(pid)/ns/mnt") } catch {
                if !error.isGone { noteUnreadable(error) }
                continue
            }
            guard !known.contains(namespace) else { continue }
            if let failure = readMountTable(pid, proc) {
                // Gone meanwhile; another process of the namespace may follow.
                if !failure.isGone { noteUnreadable(failure) }
            } else {
                known.insert(namespace)
            }
        }
    }

    private mutating func noteUnreadable(_ error: SystemError) {
        // One says it: a daemon that may not look into one process may not look into any.
        let reason = "mounts of other processes cannot be read: \(errorText(error.errno))"
        if !unknownDisks.contains(reason) { unknownDisks.append(reason) }
    }

    private mutating func readMountTable(_ pid: Int, _ proc: borrowing Directory) -> SystemError? {
        do throws(SystemError) {
            mounts += Mount.table(try proc.readAll("\(pid)/mountinfo"))
            return nil
        } catch { return error }
    }

    /// Finds the block devices of file systems whose number is none of a block device: btrfs, bcachefs.
    private mutating func resolveSources(_ prefix: String) {
        addBtrfs(prefix)
        var more: [Mount] = []
        for index in mounts.indices where mounts[index].number.hasPrefix("0:") {
            let mount = mounts[index]
            // bcachefs names all its devices.
            let numbers = mount.source.split(separator: ":").compactMap { blockNumber(ofNode: String($0), prefix) }
            guard let first = numbers.first else { continue }
            mounts[index].number = first
            more += numbers.dropFirst().map { number in
                Mount(number: number, point: mount.point, type: mount.type, source: mount.source)
            }
        }
        mounts += more
    }

    /// A loop device stands on the block device that it is made of. Of one made of a file, the file system is mounted.
    private mutating func addLoops(_ prefix: String) {
        for loop in blocks {
            guard let backing = loop.backing, let number = blockNumber(ofNode: backing, prefix) else { continue }
            for index in blocks.indices where blocks[index].number == number { blocks[index].holders.append(loop.name) }
        }
    }

    /// A file system of btrfs stands on all of its devices, whichever of them its mounts name.
    private mutating func addBtrfs(_ prefix: String) {
        guard let folder = try? Directory(path: prefix + "sys/fs/btrfs") else { return }
        for identity in (try? folder.names()) ?? [] {
            guard let devices = try? Directory(path: prefix + "sys/fs/btrfs/\(identity)/devices"),
                let members = try? devices.names(), !members.isEmpty
            else { continue }
            let name = "btrfs \(identity)"
            let number = "btrfs:\(identity)"
            blocks.append(BlockDevice(name: name, paths: [], number: number))
            let numbers = blocks.filter { members.contains($0.name) }.compactMap(\.number)
            for index in blocks.indices where members.contains(blocks[index].name) {
                blocks[index].holders.append(name)
            }
            for index in mounts.indices where mounts[index].type == "btrfs" {
                guard let found = blockNumber(ofNode: mounts[index].source, prefix), numbers.contains(found) else {
                    continue
                }
                mounts[index].number = number
            }
        }
    }

    /// MAJOR:MINOR of a node by its path.
    private func blockNumber(ofNode path: String, _ prefix: String) -> String? {
        guard path.hasPrefix("/dev/") else { return nil }
        var status = stat()
        if stat(prefix + path.dropFirst(), &status) == 0, let number = NodeNumber(status), number.isBlock {
            return "\(number.major):\(number.minor)"
        }
        // A node that only another mount namespace has still names its device.
        guard let name = path.split(separator: "/").last else { return nil }
        return blocks.first { $0.name == name || $0.mapperName == String(name) }?.number
    }

    private mutating func addSwaps(_ areas: [SwapArea], _ prefix: String) {
        for area in areas {
            if area.isFile {
                let mount = mounts.filter { area.path.isBelow($0.point) }.max { $0.point.count < $1.point.count }
                if let mount { swaps.append(mount.number) }
            } else if let number = blockNumber(ofNode: area.path, prefix) {
                swaps.append(number)
            } else {
                unknownDisks.append("it is not known where \(area.path) lies, which is swapped to")
            }
        }
    }
}

extension SystemError {
    /// The process ended while it was looked at: a zombie has no namespaces (EINVAL, mounts_open_common).
    fileprivate var isGone: Bool { isVanished || errno == ESRCH || errno == EINVAL }
}

extension String {
    /// Whether the path lies in the folder.
    fileprivate func isBelow(_ folder: String) -> Bool {
        folder == "/" || hasPrefix(folder.hasSuffix("/") ? folder : folder + "/")
    }
}
