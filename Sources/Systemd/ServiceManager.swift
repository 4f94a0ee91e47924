// The exchange with the service manager that started the daemon, through libsystemd. Without one every call does
// nothing, so that the daemon runs the same from a shell.

import CSystemd
import Glibc

/// The service manager of this process, as its environment names it.
public struct ServiceManager: Sendable {
    /// Nothing is opened or read before a call.
    public init() {}

    /// Tells the service manager about the daemon. The datagram is sent on a blocking socket, as libsystemd does it:
    /// it waits while the queue of PID 1 (net.unix.max_dgram_qlen) is full.
    /// - Returns: false when there is no service manager to tell (no NOTIFY_SOCKET).
    /// - Throws: `SystemdError.notNotified`. Going on without is right: the manager's own timeout will tell.
    @discardableResult
    public func notify(_ states: ServiceState...) throws(SystemdError) -> Bool {
        // sd_notify refuses an empty text, but nothing to say is no mistake.
        guard !states.isEmpty else { return false }
        // 0: the variable stays, since more will be told later.
        let result = sd_notify(0, ServiceState.text(of: states))
        guard result >= 0 else { throw .notNotified(errno: -result) }
        return result > 0
    }

    /// Takes over the descriptors of socket activation, close-on-exec, in the order in which they were passed. The
    /// environment is cleared, so that no child takes them for its own and a second call returns none. It must be
    /// called while no other thread reads the environment.
    /// - Throws: `SystemdError.noListenDescriptors`.
    public func takeListenDescriptors() throws(SystemdError) -> [PassedDescriptor] {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = sd_listen_fds_with_names(1, &names)
        guard count >= 0 else { throw .noListenDescriptors(errno: -count) }
        guard let names else { return [] }
        defer { free(names) }
        return (0..<Int(count)).map { index in
            let name = names[index]
            defer { free(name) }
            return PassedDescriptor(
                descriptor: SD_LISTEN_FDS_START + Int32(index),
                name: name.map { String(cString: $0) } ?? "unknown"
            )
        }
    }
}
