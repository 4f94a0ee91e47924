// Why a file could not be read or written: the one error of those who keep files.

/// A system call on a file that failed.
public struct FileFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file or folder.
    public var path: String
    /// The call that failed, such as `open`.
    public var call: String
    /// Its error number.
    public var errno: Int32

    /// A failure of this call.
    public init(path: String, call: String, errno: Int32) {
        self.path = path
        self.call = call
        self.errno = errno
    }

    public var description: String { "\(call) \(path): \(errorText(errno))" }
}
