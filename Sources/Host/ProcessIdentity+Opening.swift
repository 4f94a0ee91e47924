// Processes of this machine as descriptors.

import CLinux
import EventLoop
import Files
import Glibc
import Inventory

extension ProcessIdentity {
    /// A pidfd; nil when the process has ended.
    ///
    /// - Throws: why none can be opened, or whose it is cannot be found out.
    @LoopActor
    public func open() throws(SystemError) -> KernelFile? {
        let pidfd = clinux_pidfd_open(pid)
        guard pidfd >= 0 else {
            // EINVAL: the number is that of another process's thread by now.
            if pidfd == -ESRCH || pidfd == -EINVAL { return nil }
            throw SystemError(errno: -pidfd)
        }
        let file = KernelFile(owning: pidfd)
        // Opened by number: had it ended before, the number may be another's.
        return try ProcessIdentity.now(of: pid) == self ? file : nil
    }

    /// Whether a descriptor is a pidfd of it: /proc/self/fdinfo has the number of the process, -1 once it was reaped.
    @LoopActor
    public func isOpen(as file: KernelFile) -> Bool {
        guard let folder = try? Directory(path: "/proc/self/fdinfo"), let text = try? folder.text("\(file.number)")
        else { return false }
        for line in text.split(separator: "\n") where line.hasPrefix("Pid:") {
            return line.dropFirst(4).drop { $0 == " " || $0 == "\t" } == "\(pid)" && ProcessIdentity(of: pid) == self
        }
        return false
    }
}
