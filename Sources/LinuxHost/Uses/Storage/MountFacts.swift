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

    /// Reads the mounts of all namespaces.
    @LoopActor
    init(below root: String) async {
        guard let proc = try? Directory(path: root.hasSuffix("/") ? root + "proc" : root + "/proc") else {
            unknown.append("there is no /proc")
            return
        }
        await readMountTables(proc)
    }

    @LoopActor
    private mutating func readMountTables(_ proc: borrowing Directory) async {
        var known: Set<String> = []
        var pids: [Int] = []
        do throws(SystemError) { pids = try proc.names().compactMap { decimal($0) }.sorted() } catch {
            unknown.append("/proc cannot be listed: \(errorText(error.errno))")
        }
        // First of all, and whatever it says about its namespace.
        if pids.first == 1 { pids.removeFirst() }
        if let failure = readMountTable(1, proc) {
            unknown.append("the mounts of process 1 cannot be read: \(errorText(failure.errno))")
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
        if !unknown.contains(reason) { unknown.append(reason) }
    }

    private mutating func readMountTable(_ pid: Int, _ proc: borrowing Directory) -> SystemError? {
        do throws(SystemError) {
            mounts += Mount.table(try proc.readAll("\(pid)/mountinfo"))
            return nil
        } catch { return error }
    }
}

extension SystemError {
    /// The process ended while it was looked at: a zombie has no namespaces (EINVAL, mounts_open_common).
    fileprivate var isGone: Bool { isVanished || errno == ESRCH || errno == EINVAL }
}
