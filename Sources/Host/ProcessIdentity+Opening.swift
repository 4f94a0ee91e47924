// Processes of this machine as descriptors.

import CLinux
import EventLoop
import Files
import Inventory

extension ProcessIdentity {
    /// A pidfd; nil when the process has ended.
    @LoopActor
    public func open() -> KernelFile? {
        let pidfd = clinux_pidfd_open(pid)
        guard pidfd >= 0 else { return nil }
        let file = KernelFile(owning: pidfd)
        // Opened by number: had it ended before, the number may be another's.
        return ProcessIdentity(of: pid) == self ? file : nil
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
