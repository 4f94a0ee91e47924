// Real AF_UNIX sockets under a temporary name, for the tests to stand in for the service manager, journald, and clients.

import Foundation
import Testing

/// A socket bound to a path that goes away with it.
final class LocalSocket {
    let descriptor: Int32
    let path: String

    /// - Parameters:
    ///   - type: of the socket.
    ///   - path: with a leading `@` in the abstract name space.
    /// - Throws: the call that failed.
    init(_ type: __socket_type, at path: String = "/tmp/vfiogroupd-test-\(UUID().uuidString)") throws {
        self.path = path
        descriptor = socket(AF_UNIX, Int32(type.rawValue | SOCK_CLOEXEC.rawValue), 0)
        let descriptor = descriptor
        try #require(Self.withAddress(of: path) { bind(descriptor, $0, $1) } == 0)
    }

    deinit {
        close(descriptor)
        unlink(path)
    }

    /// The next datagram that is there already, as text; nil when there is none.
    func received() -> String? { receivedBytes().map { String(decoding: $0, as: UTF8.self) } }

    func receivedBytes() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return count < 0 ? nil : Array(buffer.prefix(count))
    }

    /// A stream connected to a listener's path.
    static func connected(to path: String) throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        try #require(withAddress(of: path) { connect(descriptor, $0, $1) } == 0)
        return descriptor
    }

    private static func withAddress(of path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) {
            $0.copyBytes(from: path.utf8)
            if path.hasPrefix("@") { $0[0] = 0 }
        }
        let size = path.hasPrefix("@") ? 2 + path.utf8.count : MemoryLayout<sockaddr_un>.size
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(size))
            }
        }
    }
}
