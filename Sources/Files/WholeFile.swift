// Whole files: read to the end, written to the end, replaced in one step.

import CLinux
import Glibc

/// All bytes from a descriptor's position to its end; EFBIG where there are more than `limit`.
///
/// The size that fstat tells is not relied on: files of /proc say 0, come in pieces of which a short one is not the last,
/// and a file may grow meanwhile.
public func readAll(_ descriptor: Int32, limit: Int) throws(SystemError) -> [UInt8] {
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let n = read(descriptor, &piece, piece.count)
        if n < 0, errno == EINTR { continue }
        guard n >= 0 else { throw SystemError(errno: errno) }
        if n == 0 { return bytes }
        bytes += piece[..<n]
        if bytes.count > limit { throw SystemError(errno: EFBIG) }
    }
}

/// Writes all of it to a descriptor that blocks.
public func writeAll(_ bytes: some Sequence<UInt8>, to descriptor: Int32) throws(SystemError) {
    var rest = Array(bytes)[...]
    while !rest.isEmpty {
        let n = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if n < 0, errno == EINTR { continue }
        guard n > 0 else { throw SystemError(errno: errno) }
        rest = rest.dropFirst(n)
    }
}

/// All bytes of a file of any length up to `limit`; EFBIG beyond. A FIFO does not make it wait.
public func contents(of path: String, limit: Int = 1 << 26) throws(SystemError) -> [UInt8] {
    try contents(of: path, below: AT_FDCWD, limit: limit)
}

func contents(of path: String, below directory: Int32, limit: Int, flags: Int32 = 0) throws(SystemError) -> [UInt8] {
    let file = clinux_openat(directory, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | flags)
    guard file >= 0 else { throw SystemError(errno: -file) }
    defer { close(file) }
    return try readAll(file, limit: limit)
}

/// All of a file of at most `limit` bytes, which must be no symbolic link; nil where there is none.
public func readFile(_ path: String, limit: Int) throws(FileFailure) -> [UInt8]? {
    let file = clinux_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW)
    if file == -ENOENT { return nil }
    guard file >= 0 else { throw FileFailure(path: path, call: "open", errno: -file) }
    defer { close(file) }
    do throws(SystemError) { return try readAll(file, limit: limit) } catch {
        throw FileFailure(path: path, call: "read", errno: error.errno)
    }
}

/// Writes a file, made or emptied; never through a symbolic link.
///
/// - Parameters:
///   - bytes: all that is in it afterwards.
///   - path: the file.
///   - mode: its permissions, whatever the umask is.
///   - lasting: whether it shall outlive a loss of power.
/// - Throws: the call that failed; the file may then be half written.
public func writeFile(
    _ bytes: [UInt8], to path: String, mode: UInt32, lasting: Bool = false
) throws(FileFailure) {
    let file = clinux_create(path, mode)
    guard file >= 0 else { throw FileFailure(path: path, call: "open", errno: -file) }
    defer { close(file) }
    fchmod(file, mode)
    do throws(SystemError) { try writeAll(bytes, to: file) } catch {
        throw FileFailure(path: path, call: "write", errno: error.errno)
    }
    if lasting, fsync(file) != 0 { throw FileFailure(path: path, call: "fsync", errno: errno) }
}

/// Puts a file in the place of another in one step: a reader, or a program that is killed meanwhile, finds the whole old
/// one or the whole new one. The new one is written beside it as `PATH.new`, which a failure removes.
public func replaceFile(
    _ path: String, with bytes: [UInt8], mode: UInt32, lasting: Bool = false
) throws(FileFailure) {
    let new = path + ".new"
    do throws(FileFailure) {
        try writeFile(bytes, to: new, mode: mode, lasting: lasting)
        guard rename(new, path) == 0 else { throw FileFailure(path: path, call: "rename", errno: errno) }
    } catch {
        unlink(new)
        throw error
    }
}

/// Makes a folder, unless it is there.
///
/// - Parameters:
///   - path: the folder; the one above is there.
///   - mode: its permissions, less those of the umask.
/// - Throws: why it is not there.
public func makeFolder(_ path: String, mode: UInt32) throws(FileFailure) {
    if mkdir(path, mode) < 0, errno != EEXIST { throw FileFailure(path: path, call: "mkdir", errno: errno) }
}

/// The same, and makes sure that it is a folder, no link to one, to which nobody but this user writes: elsewhere a name
/// could be made to lead to a file of somebody else, and what others may write would be taken for one's own.
public func makeOwnFolder(_ path: String, mode: UInt32) throws(FileFailure) {
    try makeFolder(path, mode: mode)
    var status = stat()
    guard lstat(path, &status) == 0 else { throw FileFailure(path: path, call: "stat", errno: errno) }
    guard status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(), status.st_mode & 0o022 == 0 else {
        throw FileFailure(path: path, call: "not a folder that only its owner writes to:", errno: EPERM)
    }
}

/// The names of a folder's entries, sorted, but `.` and `..`.
public func names(inFolder path: String) throws(FileFailure) -> [String] {
    do throws(SystemError) { return try Directory(path: path).names() } catch {
        throw FileFailure(path: path, call: "opendir", errno: error.errno)
    }
}
