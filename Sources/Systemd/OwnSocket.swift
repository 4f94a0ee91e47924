// A socket that the daemon opened itself, in the service manager's store: whoever connects after the end of one daemon waits
// for the next, as with a socket of the manager's.

import CLinux
import Glibc

/// A listening socket of an earlier daemon.
public struct OwnSocket: Sendable, Equatable {
    /// It is the receiver's to close, and still in the store.
    public let passed: PassedDescriptor

    private static let name = "own-socket"

    /// nil for what was passed for another reason.
    public init?(_ passed: PassedDescriptor) {
        guard passed.name == Self.name || passed.name.hasPrefix(Self.name + "-") else { return nil }
        self.passed = passed
    }

    /// The path that it was bound to, with `@` before an abstract one; nil for what has none.
    public var path: String? {
        var bytes = [UInt8](repeating: 0, count: MemoryLayout<sockaddr_un>.size)
        let count = clinux_unix_path(passed.descriptor, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes[..<Int(count)], as: UTF8.self) : nil
    }

    /// Whether whoever connects to a path connects to it.
    public func isReached(by path: String) -> Bool {
        guard (try? passed.checkListener()) != nil, self.path == path else { return false }
        return passed.name == Self.storeName(at: path)
    }

    /// The name in the store of the socket that a path leads to now; nil where there is none. The file is part of it: it may
    /// have been removed, or have made way for another socket's, and the kernel does not tell which file is a socket's own.
    public static func storeName(at path: String) -> String? {
        if path.hasPrefix("@") { return name }
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return nil }
        return "\(name)-\(status.st_dev)-\(status.st_ino)"
    }

    /// Closes it, and removes its file if that is still there.
    public func remove() {
        if let path, !path.hasPrefix("@"), passed.name == Self.storeName(at: path) { unlink(path) }
        close(passed.descriptor)
    }
}
