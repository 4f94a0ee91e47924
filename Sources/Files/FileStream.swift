// A file that is read piece by piece: one that may be of any length, of which little is to be kept.

import CLinux
import Glibc

/// An open file, closed at the end of its life.
public struct FileStream: ~Copyable {
    private let descriptor: Int32
    private var piece: [UInt8]

    /// Opens a file below a folder. A FIFO does not make it wait.
    public init(_ name: String, below directory: borrowing Directory, pieces: Int = 1 << 16) throws(SystemError) {
        let result = clinux_openat(directory.descriptor, name, O_RDONLY | O_NONBLOCK | O_NOCTTY)
        guard result >= 0 else { throw SystemError(errno: -result) }
        descriptor = result
        piece = [UInt8](repeating: 0, count: pieces)
    }

    deinit { close(descriptor) }

    /// The next bytes; nil at the end.
    public mutating func next() throws(SystemError) -> ArraySlice<UInt8>? {
        while true {
            let n = read(descriptor, &piece, piece.count)
            if n < 0, errno == EINTR { continue }
            guard n >= 0 else { throw SystemError(errno: errno) }
            return n == 0 ? nil : piece[..<n]
        }
    }
}
