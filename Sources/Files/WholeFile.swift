// Whole files by path.

import CLinux
import Glibc

/// All bytes of a file of any length up to `limit`; EFBIG beyond. A FIFO does not make it wait.
///
/// Files of /proc that are made while they are read come in pieces, of which a short one is not the last.
public func contents(of path: String, limit: Int = 1 << 26) throws(SystemError) -> [UInt8] {
    try contents(of: path, below: AT_FDCWD, limit: limit)
}

func contents(of path: String, below directory: Int32, limit: Int) throws(SystemError) -> [UInt8] {
    let file = clinux_openat(directory, path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
    guard file >= 0 else { throw SystemError(errno: -file) }
    defer { close(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let n = read(file, &piece, piece.count)
        if n < 0, errno == EINTR { continue }
        guard n >= 0 else { throw SystemError(errno: errno) }
        if n == 0 { return bytes }
        bytes += piece[..<n]
        if bytes.count > limit { throw SystemError(errno: EFBIG) }
    }
}
