// Error numbers of the kernel as people know them.

import Files
import Glibc
import Inventory

/// An error number, by its name and in words.
public struct KernelError: Hashable, Sendable, CustomStringConvertible {
    public let errno: Int32

    public init(_ errno: Int32) { self.errno = errno }

    /// "EBUSY"; "errno 123" for a rare one.
    public var name: String { Self.names[errno] ?? "errno \(errno)" }

    public var description: String { "\(errorText(errno)) (\(name))" }

    private static let names: [Int32: String] = [
        EPERM: "EPERM", ENOENT: "ENOENT", EINTR: "EINTR", EIO: "EIO", ENXIO: "ENXIO", EBADF: "EBADF",
        EAGAIN: "EAGAIN", ENOMEM: "ENOMEM", EACCES: "EACCES", EFAULT: "EFAULT", EBUSY: "EBUSY", EEXIST: "EEXIST",
        ENODEV: "ENODEV", ENOTDIR: "ENOTDIR", EINVAL: "EINVAL", ENFILE: "ENFILE", EMFILE: "EMFILE", ENOTTY: "ENOTTY",
        EFBIG: "EFBIG", ENOSPC: "ENOSPC", EROFS: "EROFS", EPIPE: "EPIPE", ERANGE: "ERANGE", ENOSYS: "ENOSYS",
        ENOTSUP: "EOPNOTSUPP", EADDRINUSE: "EADDRINUSE", ETIMEDOUT: "ETIMEDOUT", ECANCELED: "ECANCELED",
    ]
}
