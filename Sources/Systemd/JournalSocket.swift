// The way to journald. libsystemd's sd_journal_sendv sends on a blocking socket: when journald hangs, whoever logs hangs
// with it as soon as its queue is full (seen with strace, systemd 252). The daemon must answer even then, so the
// same datagram is sent here without waiting, and what does not fit is counted.

import Glibc
import Synchronization

/// An unconnected datagram socket and the address of journald. A restart of journald is not noticed: the address is
/// looked up with every entry, and PID 1 keeps the socket meanwhile.
final class JournalSocket: Sendable {
    /// What became of an entry.
    enum Delivery: Equatable {
        case sent
        /// journald does not keep up.
        case dropped
        /// Nobody listens there, or it cannot be reached from inside this sandbox.
        case unreachable
    }

    /// journald's address, systemd-journald.service(8).
    static let standardPath = "/run/systemd/journal/socket"

    private let descriptor: Int32
    private let address: sockaddr_un
    private let dropped = Atomic<Int>(0)

    /// nil when the kernel gives no socket or the path is too long for an address.
    init?(path: String = standardPath) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let fits = withUnsafeMutableBytes(of: &address.sun_path) { buffer in
            guard path.utf8.count < buffer.count else { return false }
            buffer.copyBytes(from: path.utf8)
            return true
        }
        guard fits else { return nil }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        self.descriptor = descriptor
        self.address = address
    }

    deinit { close(descriptor) }

    /// Sends an entry without waiting.
    func send(_ entry: LogEntry) -> Delivery {
        reportDropped(identifier: entry.identifier)
        let delivery = send(entry.datagram)
        if delivery == .dropped { dropped.add(1, ordering: .relaxed) }
        return delivery
    }

    /// Makes up for what was dropped by saying how much it was.
    private func reportDropped(identifier: String) {
        let count = dropped.load(ordering: .relaxed)
        guard count > 0 else { return }
        let message = "\(count) messages were lost because the journal did not keep up"
        let entry = LogEntry(level: .warning, message: message, fields: [:], identifier: identifier)
        if send(entry.datagram) == .sent { dropped.subtract(count, ordering: .relaxed) }
    }

    private func send(_ bytes: [UInt8]) -> Delivery {
        var address = address
        let result = bytes.withUnsafeBytes { bytes in
            // sendmsg instead of sendto: that one's address parameter is a union that Swift cannot fill.
            var part = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
            return withUnsafeMutablePointer(to: &address) { address in
                withUnsafeMutablePointer(to: &part) { part in
                    var message = msghdr()
                    message.msg_name = UnsafeMutableRawPointer(address)
                    message.msg_namelen = socklen_t(MemoryLayout<sockaddr_un>.size)
                    message.msg_iov = part
                    message.msg_iovlen = 1
                    return sendmsg(descriptor, &message, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
                }
            }
        }
        if result >= 0 { return .sent }
        switch errno {
        case EAGAIN, ENOBUFS, EMSGSIZE, EINTR, ENOMEM: return .dropped
        default: return .unreachable
        }
    }
}
