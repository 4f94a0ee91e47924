// Which process has a number now, told by when it started.

import EventLoop
import Files
import Inventory

extension ProcessIdentity {
    /// The process that has this number now; nil without one.
    public init?(of pid: Int32) { self.init(of: pid, below: "/proc") }

    /// The same in the process file system at `proc`.
    public init?(of pid: Int32, below proc: String) {
        guard let folder = try? Directory(path: "\(proc)/\(pid)"), let stat = try? folder.text("stat"),
            // The name, in parentheses, may hold anything: the fields are counted from its end.
            let end = stat.utf8.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        // The first after the name is field 3, the state.
        guard fields.count > 19, let start = UInt64(fields[19]) else { return nil }
        self.init(pid: pid, startTime: start)
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
