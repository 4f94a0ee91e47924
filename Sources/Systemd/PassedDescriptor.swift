// A descriptor that somebody else opened for the daemon, and the proof that it is what the daemon needs.

import Glibc

/// A descriptor passed by socket activation. It is the daemon's to close.
public struct PassedDescriptor: Sendable, Equatable {
    /// Its number.
    public let descriptor: Int32
    /// FileDescriptorName= of the socket unit, by default the unit's name; "unknown" when nobody said.
    public let name: String

    /// Checks that the descriptor is an AF_UNIX stream socket that listens.
    /// - Throws: `SystemdError.notAListener`.
    public func checkListener() throws(SystemdError) {
        let family = try option(SO_DOMAIN)
        guard family == AF_UNIX else { throw .notAListener(self, .otherFamily(family)) }
        let type = try option(SO_TYPE)
        guard type == Int32(SOCK_STREAM.rawValue) else { throw .notAListener(self, .otherType(type)) }
        guard try option(SO_ACCEPTCONN) == 1 else { throw .notAListener(self, .notListening) }
    }

    private func option(_ option: Int32) throws(SystemdError) -> Int32 {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 else {
            throw .notAListener(self, errno == ENOTSOCK ? .notASocket : .unknown(errno: errno))
        }
        return value
    }
}
