// The kernel's announcements that something about its devices changed. They are hints: what is true is read again from
// sysfs, so a lost one (ENOBUFS) only means to read again.

import CLinux
import EventLoop
import Files
import Glibc
import Host
import Inventory

/// The socket that uevents come through.
@LoopActor
final class UeventSocket {
    private let descriptor: Int32

    init() throws(SystemError) {
        descriptor = clinux_uevent_open(1 << 20)
        guard descriptor >= 0 else { throw SystemError(errno: -descriptor) }
    }

    isolated deinit {
        guard descriptor >= 0 else { return }
        EventLoop.main.forget(descriptor)
        close(descriptor)
    }

    /// Suspends until an event concerns groups or events were lost; takes all that are waiting then.
    func nextRelevantChange() async throws(LoopError) {
        while true {
            if drain() { return }
            try await EventLoop.main.readable(descriptor)
        }
    }

    private func drain() -> Bool {
        var isRelevant = false
        var message = [UInt8](repeating: 0, count: 8192)
        while true {
            let n = clinux_uevent_receive(descriptor, &message, message.count)
            if n == -Int(ENOBUFS) {
                isRelevant = true
            } else if n == -Int(EINTR) || n == 0 {
                continue
            } else if n < 0 {
                return isRelevant
            } else if Uevent(message[..<n])?.concernsGroups == true {
                isRelevant = true
            }
        }
    }
}
