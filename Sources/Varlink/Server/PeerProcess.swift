import CLinux
import EventLoop
import Glibc

/// The process that made a connection, held by a pidfd: what is read of it by its number is known to be its own, and
/// not another's that has the number by now.
@LoopActor
public struct PeerProcess: ~Copyable {
    /// Its number, which may be looked at within `reading`.
    public let pid: Int32
    /// Where the process could only be opened by its number (before Linux 6.5): the latest start, in clock ticks since
    /// boot, of a process that can have made the connection. nil where the kernel itself says which process it was.
    public let latestStart: UInt64?
    private let pidfd: Descriptor

    private init(_ pid: Int32, _ pidfd: consuming Descriptor, latestStart: UInt64?) {
        self.pid = pid
        self.pidfd = pidfd
        self.latestStart = latestStart
    }

    /// The peer of a connected socket that was accepted at `accepted`; nil when it has ended, or no descriptor is free.
    init?(ofSocket descriptor: Int32, _ peer: Peer, accepted: UInt64) {
        let pidfd = clinux_peer_pidfd(descriptor)
        if pidfd == -ENOPROTOOPT {
            self.init(openingByNumber: peer.pid, accepted: accepted)
        } else {
            guard pidfd >= 0 else { return nil }
            self.init(peer.pid, Descriptor(owning: pidfd), latestStart: nil)
        }
    }

    /// The process that has this number now.
    init?(openingByNumber pid: Int32, accepted: UInt64) {
        let pidfd = clinux_pidfd_open(pid)
        guard pidfd >= 0 else { return nil }
        self.init(pid, Descriptor(owning: pidfd), latestStart: accepted)
    }

    /// Has `read` look at the process by its number; nil when the process has ended meanwhile, so that what was looked
    /// at may be another. An end that nobody has reaped yet is none: it keeps the number.
    public func reading<Value>(_ read: (Int32) -> Value?) -> Value? {
        let value = read(pid)
        return clinux_pidfd_send_signal(pidfd.number, 0) == -ESRCH ? nil : value
    }

    /// This moment as `latestStart` counts.
    static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        let ticks = UInt64(max(sysconf(Int32(_SC_CLK_TCK)), 1))
        return UInt64(time.tv_sec) * ticks + UInt64(time.tv_nsec) * ticks / 1_000_000_000
    }
}
