// Descriptors of the simulated vfio: the writing ends of pipes. Passed on and copied like any others, they let the
// simulated kernel see when the last copy is closed, whoever had it.

import CLinux
import EventLoop
import Files
import Glibc
import Host
import Inventory

/// The open files of a simulated kernel that processes have descriptors of.
@LoopActor
final class SimulatedFiles {
    private struct Entry {
        let file: SimulatedKernel.File
        let readingEnd: Int32
        /// The daemon's own reference; nil inside once the daemon let go of it.
        weak var daemons: KernelFile?
    }

    /// By the pipe's inode, which all copies of its ends have in common.
    private var entries: [UInt64: Entry] = [:]
    /// Called when the last descriptor of a file was closed.
    var onClose: (@LoopActor (SimulatedKernel.File) -> Void)?

    /// A descriptor of a file.
    func descriptor(of file: SimulatedKernel.File) throws(SystemError) -> KernelFile {
        var ends: [Int32] = [-1, -1]
        let error = clinux_pipe(&ends)
        guard error == 0 else { throw SystemError(errno: -error) }
        let mine = KernelFile(owning: ends[1])
        let inode = Self.inode(ends[0])
        entries[inode] = Entry(file: file, readingEnd: ends[0], daemons: mine)
        do throws(LoopError) {
            try EventLoop.main.onHangUp(ends[0]) { [weak self] in self?.ended(inode) }
        } catch {
            ended(inode)
            throw SystemError(errno: ENOMEM)
        }
        return mine
    }

    /// The file that a descriptor is of.
    func file(_ descriptor: KernelFile) -> SimulatedKernel.File? {
        descriptor.isOpen ? entries[Self.inode(descriptor.number)]?.file : nil
    }

    /// The descriptor is one of the daemon's, which has it from its predecessor.
    func becomesDaemons(_ descriptor: KernelFile) { entries[Self.inode(descriptor.number)]?.daemons = descriptor }

    /// Whether the daemon has it open, as opposed to one that it was passed on to.
    func isDaemons(_ file: SimulatedKernel.File) -> Bool {
        entries.values.contains { $0.file == file && $0.daemons?.isOpen == true }
    }

    /// Closes the daemon's copy; should it be the last, the file is closed when this returns.
    func letGo(of descriptor: KernelFile) {
        let inode = Self.inode(descriptor.number)
        descriptor.letGo()
        // A child that is being forked may have it for a moment yet, which is none of the simulated machine's processes.
        if descriptor.wasCopied { collect(inode) } else { ended(inode) }
    }

    /// Looks now for files whose last descriptor was closed, rather than when the loop comes to it.
    func collect() { for inode in Array(entries.keys) { collect(inode) } }

    private func collect(_ inode: UInt64) {
        guard let entry = entries[inode] else { return }
        var poll = pollfd(fd: entry.readingEnd, events: 0, revents: 0)
        if Glibc.poll(&poll, 1, 0) == 1, poll.revents & Int16(POLLHUP) != 0 { ended(inode) }
    }

    private func ended(_ inode: UInt64) {
        guard let entry = entries.removeValue(forKey: inode) else { return }
        EventLoop.main.forget(entry.readingEnd)
        close(entry.readingEnd)
        onClose?(entry.file)
    }

    private static func inode(_ descriptor: Int32) -> UInt64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : 0
    }
}
