// Whole files, written and read at once.

import CLinux
import Glibc

/// Why a file could not be read or written.
public struct FileFailure: Error, Equatable, CustomStringConvertible {
    public var path: String
    public var call: String
    public var errno: Int32

    public var description: String { "\(call) \(path): \(String(cString: strerror(errno)))" }
}

/// Writes a file, made or emptied; never through a symbolic link.
///
/// - Parameter lasting: whether it shall outlive a loss of power.
func writeFile(_ bytes: [UInt8], to path: String, mode: mode_t, lasting: Bool = false) throws(FileFailure) {
    let file = clinux_create(path, mode)
    guard file >= 0 else { throw FileFailure(path: path, call: "open", errno: -file) }
    defer { close(file) }
    // Whatever the umask is.
    fchmod(file, mode)
    var rest = bytes[...]
    while !rest.isEmpty {
        let n = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        if n < 0, errno == EINTR { continue }
        guard n > 0 else { throw FileFailure(path: path, call: "write", errno: errno) }
        rest = rest.dropFirst(n)
    }
    if lasting, fsync(file) != 0 { throw FileFailure(path: path, call: "fsync", errno: errno) }
}

/// All of a file of at most `limit` bytes; nil where there is none.
func readFile(_ path: String, limit: Int) throws(FileFailure) -> [UInt8]? {
    let file = clinux_openat(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    if file == -ENOENT { return nil }
    guard file >= 0 else { throw FileFailure(path: path, call: "open", errno: -file) }
    defer { close(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while bytes.count <= limit {
        let n = Glibc.read(file, &piece, piece.count)
        if n < 0, errno == EINTR { continue }
        guard n >= 0 else { throw FileFailure(path: path, call: "read", errno: errno) }
        if n == 0 { return bytes }
        bytes += piece[..<n]
    }
    throw FileFailure(path: path, call: "read", errno: EFBIG)
}
