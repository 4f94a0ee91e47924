// Texts that leave the daemon: cut without splitting a character, and errors in the C library's words.

import Glibc

extension String {
    /// The longest beginning of at most `limit` bytes that is still UTF-8. journald shows a MESSAGE that is not as
    /// "blob data", and PID 1 refuses such a STATUS.
    func beginning(bytes limit: Int) -> Substring {
        guard utf8.count > limit else { return self[...] }
        // UTF8View rounds no index, so that a cut inside of a character is moved to its beginning by hand.
        var end = utf8.index(utf8.startIndex, offsetBy: limit)
        while end > utf8.startIndex, UTF8.isContinuation(utf8[end]) { end = utf8.index(before: end) }
        return self[..<end]
    }
}

/// The C library's words for an errno.
func text(of code: Int32) -> String {
    // strerror's buffer is shared by threads; the daemon has one.
    strerror(code).map { String(cString: $0) } ?? "error \(code)"
}
