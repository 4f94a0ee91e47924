// What can go wrong between the daemon and the service manager.

/// An exchange with the service manager failed. Each case carries what a log line needs.
public enum SystemdError: Error, Equatable, CustomStringConvertible {
    /// The service manager could not be told; an errno of sd_notify(3).
    case notNotified(errno: Int32)
    /// LISTEN_PID, LISTEN_FDS or LISTEN_FDNAMES make no sense; an errno of sd_listen_fds_with_names(3).
    case noListenDescriptors(errno: Int32)
    /// A descriptor was passed on which no Varlink client can ever call.
    case notAListener(PassedDescriptor, ListenerFlaw)

    /// One sentence with the remedy.
    public var description: String {
        switch self {
        case .notNotified(let code):
            "the service manager could not be told through NOTIFY_SOCKET: \(text(of: code))"
        case .noListenDescriptors(let code):
            "the descriptors of socket activation cannot be taken over: \(text(of: code)); see LISTEN_FDS and"
                + " LISTEN_FDNAMES in sd_listen_fds(3)"
        case .notAListener(let passed, let flaw):
            "descriptor \(passed.descriptor) ('\(passed.name)') of socket activation \(flaw);"
                + " pass a socket of ListenStream= with a path"
        }
    }
}

/// Why a descriptor is no listening AF_UNIX stream socket.
public enum ListenerFlaw: Sendable, Equatable, CustomStringConvertible {
    case notASocket
    /// Of another family; an AF_ number.
    case otherFamily(Int32)
    /// Not SOCK_STREAM; a SOCK_ number.
    case otherType(Int32)
    /// A stream, but a connected or a fresh one. It is what Accept=yes passes.
    case notListening
    /// The kernel would not say; an errno of getsockopt(2).
    case unknown(errno: Int32)

    /// The end of a sentence that begins with the descriptor.
    public var description: String {
        switch self {
        case .notASocket: "is no socket"
        case .otherFamily(let family): "is of address family \(family), not AF_UNIX"
        case .otherType(let type): "is a socket of type \(type), not a stream"
        case .notListening: "does not listen (is Accept=yes set?)"
        case .unknown(let code): "cannot be examined: \(text(of: code))"
        }
    }
}
