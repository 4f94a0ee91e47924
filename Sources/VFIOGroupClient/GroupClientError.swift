// What can go wrong in a call, with what would help.

import Glibc
public import GroupAPI
public import JSON

/// Why a call of a `GroupClient` brought nothing.
///
/// Each case has the first cause: what goes wrong while a call that failed is cleaned up does not take its place. The
/// description is a sentence for people that names the socket, the reason and the remedy.
public enum GroupClientError: Error, Equatable, Sendable {
    /// Nobody listens at any of the sockets, or not for this user: what was tried, in this order.
    case unreachable([Attempt])
    /// The daemon closed the connection before it had replied: it was stopped, killed or restarted, or this user has as
    /// many connections as it allows. Claims that last as long as a process or until their release outlive that.
    case lost(socket: String, reason: String)
    /// The daemon refused a call about groups.
    case groups(Groups.Failure)
    /// The daemon refused a call about claims.
    case claims(Claims.Failure)
    /// The daemon replied with an error that is none of those two interfaces, or that is newer than this client: its
    /// full name and its parameters.
    case other(name: String, parameters: JSONObject)
    /// The daemon's reply cannot be read: it is of another version, or it is no vfiogroupd.
    case unreadable(socket: String, reason: String)
    /// A system call of this process failed, mostly for lack of descriptors or memory.
    case system(call: String, errno: Int32)

    /// A socket where nobody could be reached.
    public struct Attempt: Equatable, Sendable {
        /// The path of the socket.
        public var socket: String
        /// Why connecting to it failed, as an error number: `ENOENT`, `ECONNREFUSED`, `EACCES`, ...
        public var errno: Int32

        /// Makes the record of an attempt.
        ///
        /// - Parameters:
        ///   - socket: the path of the socket.
        ///   - errno: why connecting to it failed.
        public init(socket: String, errno: Int32) {
            self.socket = socket
            self.errno = errno
        }
    }

    /// What would help, in a sentence; nil where the daemon's own words say so, or nothing is known to.
    public var remedy: String? {
        switch self {
        case .unreachable(let attempts) where attempts.contains { $0.errno == EACCES || $0.errno == EPERM }:
            "Run this as a user who may open the socket."
        case .unreachable:
            "Start the service (systemctl start vfiogroupd.socket) or a simulation (vfiogroupd --simulate demo), or give "
                + "the path of its socket."
        case .lost:
            "See whether the daemon runs (systemctl status vfiogroupd), then call again; if it does, this user may have "
                + "too many connections to it."
        case .unreadable: "See that the daemon and this program are of the same version."
        case .system(_, EMFILE), .system(_, ENFILE): "Close descriptors, or raise their limit (RLIMIT_NOFILE)."
        case .groups, .claims, .other, .system: nil
        }
    }

    /// What went wrong, in a sentence without the remedy.
    private var reason: String {
        switch self {
        case .unreachable(let attempts):
            let tried = attempts.map { "\($0.socket): \(String(cString: strerror($0.errno)))" }
            return "no vfiogroupd can be reached at " + tried.joined(separator: ", nor at ")
        case .lost(let socket, let reason): return "the daemon at \(socket) is lost: \(reason)"
        case .groups(let failure): return "the daemon refused: \(failure)"
        case .claims(let failure): return "the daemon refused: \(failure)"
        case .other(let name, let parameters):
            return "the daemon refused: \(name) \(JSONValue.object(parameters))"
        case .unreadable(let socket, let reason): return "what listens at \(socket) cannot be understood: \(reason)"
        case .system(let call, let errno): return "\(call): \(String(cString: strerror(errno)))"
        }
    }
}

extension GroupClientError: CustomStringConvertible {
    /// The reason and the remedy.
    public var description: String { reason + (remedy.map { ". \($0)" } ?? "") }
}
