// Processes of a simulated machine: clients that come, hold claims, and end.

import CLinux
import EventLoop
import Files
import Glibc
import Host
import Inventory

/// A process that exists only in a simulated machine. What stands in for its pidfds are reading ends of a pipe, which
/// can be read from as soon as its writing end is closed.
@LoopActor
final class SimulatedProcess {
    let identity: ProcessIdentity
    private var ends: [Int32] = [-1, -1]

    init(_ identity: ProcessIdentity) {
        self.identity = identity
        _ = clinux_pipe(&ends)
    }

    isolated deinit { for end in ends where end >= 0 { close(end) } }

    func open() throws(SystemError) -> KernelFile {
        let copy = clinux_duplicate(ends[0])
        guard copy >= 0 else { throw SystemError(errno: -copy) }
        return KernelFile(owning: copy)
    }

    func isOpen(as file: KernelFile) -> Bool {
        var (mine, other) = (stat(), stat())
        return fstat(ends[0], &mine) == 0 && fstat(file.number, &other) == 0 && mine.st_ino == other.st_ino
    }
}

extension SimulatedHost {
    /// Above what Linux gives to a process (PID_MAX_LIMIT, 2^22).
    static let firstSimulatedPID: Int32 = 1 << 22

    /// Starts a process.
    public func startProcess() -> ProcessIdentity {
        let identity = ProcessIdentity(
            pid: (processes.keys.max() ?? Self.firstSimulatedPID) + 1, startTime: UInt64(processes.count + 1))
        processes[identity.pid] = SimulatedProcess(identity)
        return identity
    }

    /// Ends a process.
    public func endProcess(_ process: ProcessIdentity) { processes[process.pid] = nil }
}
