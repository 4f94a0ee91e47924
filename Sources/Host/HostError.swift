// What can stop a host from being read at all. Everything smaller is a warning or an unknown.

/// Why no inventory could be made.
public enum HostError: Error, Equatable, Sendable {
    /// The folder that should hold `sys/` cannot be opened.
    case unreadableRoot(path: String, errno: Int32)
    /// There is no sysfs below the root. `hint` is a folder nearby that has one.
    case noSysfs(path: String, hint: String?)
    /// A snapshot is not one, or is of a version this program does not know.
    case badSnapshot(reason: String)
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
        }
    }
}
