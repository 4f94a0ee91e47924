// Reading what is mounted. Every mount namespace counts: what a container has mounted is in use, and the daemon's own
// view is its sandbox's.

import EventLoop
import Files
import Glibc
import Inventory
import PCI

/// What is mounted, in every mount namespace.
struct MountFacts: Equatable, Sendable {
    var mounts: [Mount] = []
    /// Why not every mount is known.
    var unknown: [String] = []

    /// So many processes are named that could not be looked into.
    private static let mostNamed = 3

    /// Reads the mounts of all namespaces.
    @LoopActor
    init(below root: String) async {
        guard let proc = try? Directory(path: root.hasSuffix("/") ? root + "proc" : root + "/proc") else {
            unknown.append("there is no /proc")
            return
        }
        // What a file lies on that is swapped to has to be known. That it cannot be read is told where it is read again.
        let swaps = (try? proc.readAll("swaps")).map { SwapArea.table($0) } ?? []
        var stream = MountStream(files: swaps.filter(\.isFile).map(\.path))
        await readMountTables(proc, &stream)
        mounts = stream.mounts
        if stream.isIncomplete { unknown.append("there are more file systems mounted than can be looked at") }
    }

    @LoopActor
    private mutating func readMountTables(_ proc: borrowing Directory, _ stream: inout MountStream) async {
        var known: Set<String> = []
        var unread: [(pid: Int, errno: Int32)] = []
        var pids: [Int] = []
        do throws(SystemError) { pids = try proc.names().compactMap { decimal($0) }.sorted() } catch {
            unknown.append("/proc cannot be listed: \(errorText(error.errno))")
        }
        // First of all, and whatever it says about its namespace.
        if pids.first == 1 { pids.removeFirst() }
        if let failure = await Self.read(1, proc, into: &stream) {
            unknown.append("the mounts of process 1 cannot be read: \(errorText(failure.errno))")
        } else if let namespace = try? proc.link("1/ns/mnt") {
            known.insert(namespace)
        }
        for (count, pid) in pids.enumerated() {
            if count % 64 == 63 { await EventLoop.main.yield() }
            let namespace: String
            do throws(SystemError) { namespace = try proc.link("\(pid)/ns/mnt") } catch {
                if !error.isGone { unread.append((pid, error.errno)) }
                continue
            }
            guard !known.contains(namespace) else { continue }
            if let failure = await Self.read(pid, proc, into: &stream) {
                // Gone meanwhile; another process of the namespace may follow.
                if !failure.isGone { unread.append((pid, failure.errno)) }
            } else {
                known.insert(namespace)
            }
        }
        // Another process of its namespace may have been readable after it.
        unread.removeAll { pid, _ in (try? proc.link("\(pid)/ns/mnt")).map(known.contains) ?? false }
        for (pid, errno) in unread.prefix(Self.mostNamed) {
            let name = (try? proc.text("\(pid)/comm")).map { " (\($0))" } ?? ""
            unknown.append("the mounts of process \(pid)\(name) cannot be read: \(errorText(errno))")
        }
        if unread.count > Self.mostNamed {
            unknown.append("the mounts of \(unread.count - Self.mostNamed) more processes cannot be read")
        }
    }

    @LoopActor
    private static func read(
        _ pid: Int, _ proc: borrowing Directory, into stream: inout MountStream
    ) async -> SystemError? {
        defer { stream.endTable() }
        do throws(SystemError) {
            var file = try FileStream("\(pid)/mountinfo", below: proc)
            while let piece = try file.next() {
                stream.add(piece)
                // A table may be long, and clients wait meanwhile.
                await EventLoop.main.yield()
            }
            return nil
        } catch { return error }
    }
}

extension SystemError {
    /// The process ended while it was looked at: a zombie has no namespaces (EINVAL, mounts_open_common).
    fileprivate var isGone: Bool { isVanished || errno == ESRCH || errno == EINVAL }
}
