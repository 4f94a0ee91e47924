// Which process has a number now, told by when it started.

import EventLoop
import Files
import Glibc
import Inventory

extension ProcessIdentity {
    /// The process that has this number now; nil without one, and where that cannot be found out.
    public init?(of pid: Int32) {
        guard let process = try? Self.now(of: pid) else { return nil }
        self = process
    }

    /// The process that has this number now; nil where there is certainly none.
    ///
    /// - Parameters:
    ///   - pid: the number.
    ///   - proc: where the process file system is.
    /// - Returns: the process.
    /// - Throws: why that cannot be found out: without a free descriptor every process looks as if it had ended.
    public static func now(of pid: Int32, below proc: String = "/proc") throws(SystemError) -> ProcessIdentity? {
        let stat: String
        do throws(SystemError) { stat = try Directory(path: "\(proc)/\(pid)").text("stat") } catch {
            guard error.isVanished || error.errno == ESRCH else { throw error }
            // A /proc that is not mounted, or hides it, has no folder of one that runs either.
            if proc == "/proc", pid > 0, kill(pid, 0) == 0 || errno == EPERM { throw error }
            return nil
        }
        // The name, in parentheses, may hold anything: the fields are counted from its end.
        guard let end = stat.utf8.lastIndex(of: UInt8(ascii: ")")) else { throw SystemError(errno: EBADMSG) }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        // The first after the name is field 3, the state.
        guard fields.count > 19, let start = UInt64(fields[19]) else { throw SystemError(errno: EBADMSG) }
        return ProcessIdentity(pid: pid, startTime: start)
    }

    /// What it is called (/proc/PID/comm); nil when it has ended.
    public var command: String? { file("comm") }

    /// The cgroups that it is in (/proc/PID/cgroup); nil when it has ended.
    public var controlGroups: String? { file("cgroup") }

    private func file(_ name: String) -> String? {
        // The folder stays that of the process that it was opened of, whoever has the number later.
        guard let folder = try? Directory(path: "/proc/\(pid)"), ProcessIdentity(of: pid) == self else { return nil }
        return try? folder.text(name)
    }
}
