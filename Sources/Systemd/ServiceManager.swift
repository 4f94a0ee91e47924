// The exchange with the service manager that started the daemon. Without one every call does nothing, so that the
// daemon runs the same from a shell.

import CSystemd
public import EventLoop
import Glibc

/// The service manager of this process, as its environment names it.
@LoopActor
public final class ServiceManager {
    private enum Contact {
        case unknown, none
        case socket(NotifySocket)
    }

    private var contact = Contact.unknown

    /// Nothing is opened or read before a call.
    public nonisolated init() {}

    /// The way to it; nil without one.
    private var socket: NotifySocket? {
        switch contact {
        case .none: return nil
        case .socket(let socket): return socket
        case .unknown:
            guard let address = getenv("NOTIFY_SOCKET").map({ String(cString: $0) }), !address.isEmpty else {
                contact = .none
                return nil
            }
            let socket = NotifySocket(address: address)
            contact = .socket(socket)
            return socket
        }
    }

    /// Tells the service manager about the daemon. While it has no room, what it is told waits in the daemon, in its
    /// order; of statuses the latest.
    /// - Returns: false when there is no service manager to tell (no NOTIFY_SOCKET).
    /// - Throws: `SystemdError.notNotified`. Going on without is right: the manager's own timeout will tell.
    @discardableResult
    public func notify(_ states: ServiceState...) throws(SystemdError) -> Bool {
        guard !states.isEmpty, let socket else { return false }
        let subject = states.count == 1 ? states[0].subject : nil
        try socket.post(ServiceState.text(of: states), subject: subject)
        return true
    }

    /// The manager's store of descriptors; nil when there is no service manager.
    public func store() -> (any DescriptorStore)? { socket.map { ManagerStore($0) } }

    /// Has the manager see that the loop turns, for as long as the task runs; nil when it does not want to (no
    /// WatchdogSec=). It is told twice as often as it wants to be, sd_watchdog_enabled(3), and by the loop itself: one
    /// that is stuck tells nothing.
    public func feedWatchdog() -> Task<Void, Never>? {
        var microseconds: UInt64 = 0
        // 1: the variables are nothing for the daemon's children.
        guard sd_watchdog_enabled(1, &microseconds) > 0 else { return nil }
        return telling(.watchdog, every: .microseconds(Int64(clamping: microseconds / 2)))
    }

    /// Has the manager give a start or an end more time, for as long as the task runs: its own limit counts from then on
    /// when the daemon was last heard of. A start that is soon over tells nothing.
    public func extendTimeout() -> Task<Void, Never>? {
        guard socket != nil else { return nil }
        let pause = Duration.seconds(5)
        return telling(.extendTimeout(pause * 6), every: pause, after: pause)
    }

    func telling(_ state: ServiceState, every pause: Duration, after delay: Duration = .zero) -> Task<Void, Never> {
        EventLoop.main.spawn { [self] in
            do throws(LoopError) {
                try await EventLoop.main.sleep(for: delay)
                while true {
                    // What was not told is missed by the manager, which is what it is for.
                    _ = try? notify(state)
                    try await EventLoop.main.sleep(for: pause)
                }
            } catch {}
        }
    }

    /// Takes over the descriptors that the manager passed, close-on-exec, in the order in which they were passed. The
    /// environment is cleared, so that no child takes them for its own and a second call returns none. It must be
    /// called while no other thread reads the environment.
    /// - Throws: `SystemdError.noListenDescriptors`.
    public nonisolated func takeListenDescriptors() throws(SystemdError) -> [PassedDescriptor] {
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
