// What can stop a host from being read at all. Everything smaller is a warning or an unknown.

import Files
import Inventory

/// Why no inventory could be made.
public enum HostError: Error, Equatable, Sendable {
    /// The folder that should hold `sys/` cannot be opened.
    case unreadableRoot(path: String, errno: Int32)
    /// There is no sysfs below the root. `hint` is a folder nearby that has one.
    case noSysfs(path: String, hint: String?)
    /// A snapshot is not one, or is of a version this program does not know.
    case badSnapshot(reason: String)
    /// The kernel holds the lock of the device, so that its attributes cannot be read: it is busy there.
    case deviceBusy(DeviceAddress)
    /// A system call failed that should not.
    case system(call: String, errno: Int32)
    /// It is a captured tree, which nothing can be done to.
    case notLive(name: String)
}

extension HostError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unreadableRoot(let path, let errno):
            "cannot open the folder \(path): \(errorText(errno)); give a folder that holds sys/"
        case .noSysfs("/", _):
            "there is no sysfs at /sys: mount it (mount -t sysfs sysfs /sys), or in a container pass the host's /sys in"
        case .noSysfs(let path, let hint):
            "\(path) holds no sys/ folder with devices/ in it; give the folder that sys/ lies in"
                + (hint.map { ", which seems to be \($0)" } ?? "")
        case .badSnapshot(let reason): "the snapshot cannot be used: \(reason)"
        case .deviceBusy(let device): "the device \(device) is busy in the kernel, which holds its lock"
        case .system(let call, let errno): "\(call): \(errorText(errno))"
        case .notLive(let name): "\(name) is a copy of a host; it can be looked at, not changed"
        }
    }
}
