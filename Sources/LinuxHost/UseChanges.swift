// What the kernel tells of when it changes, and the host's uses with it: mounts and network interfaces. That is a hint; what
// is true is looked up.

import CLinux
import EventLoop
import Files
import Glibc
import Host
import Inventory

extension LinuxHost {
    public func awaitUseChange() async throws(LoopError) {
        // Nobody answers for a copy of a tree.
        if isLive, useChanges == nil { useChanges = UseChanges() }
        guard let useChanges else { return try await EventLoop.main.sleep(until: MonotonicTime(nanoseconds: .max)) }
        try await useChanges.next()
    }
}

/// Notices that a mount or an interface came, went or changed. Where one of the two cannot be followed, the other is.
@LoopActor
final class UseChanges {
    private let news = Condition()
    private var hasNews = false
    private var mounts: Int32 = -1
    private var links: Int32 = -1

    /// - Parameters:
    ///   - mountTables: the first of these that can be opened is followed. The daemon's own mount namespace is its sandbox's,
    ///     and hears of what the host mounts later, but not of all.
    ///   - followsLinks: whether network interfaces are followed.
    init(mountTables: [String] = ["/proc/1/mountinfo", "/proc/self/mountinfo"], followsLinks: Bool = true) {
        for path in mountTables where mounts < 0 { mounts = open(path, O_RDONLY | O_CLOEXEC) }
        if followsLinks { links = clinux_link_open() }
        followMounts()
        followLinks()
    }

    isolated deinit {
        for descriptor in [mounts, links] where descriptor >= 0 {
            EventLoop.main.forget(descriptor)
            close(descriptor)
        }
    }

    /// Suspends until there was a change since the last call.
    func next() async throws(LoopError) {
        try await news.wait { hasNews }
        hasNews = false
    }

    private func changed() {
        hasNews = true
        news.signal()
    }

    /// A mount table is always readable, and reports an error (POLLERR) once after each change (fs/proc_namespace.c,
    /// mounts_poll): that is what `onHangUp` waits for, once. What changes before the next wait is reported by it.
    private func followMounts() {
        guard mounts >= 0 else { return }
        try? EventLoop.main.onHangUp(mounts) { [weak self] in
            self?.changed()
            self?.followMounts()
        }
    }

    private func followLinks() {
        guard links >= 0 else { return }
        EventLoop.main.spawn { [weak self, links] in
            while true {
                do throws(LoopError) { try await EventLoop.main.readable(links) } catch { return }
                // Before anything is done with the descriptor: it may be another's by now.
                guard let self else { return }
                let outcome = clinux_link_drain(links)
                if outcome != 0 { changed() }
                if outcome < 0 { return }
            }
        }
    }
}
