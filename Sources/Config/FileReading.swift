// Reading small files and folders that anything may have been put into: links, pipes, devices, endless files.

import Files
import Glibc

/// What reading one file gave.
enum FileReading: Equatable {
    case content([UInt8])
    /// The file is /dev/null, which is how an administrator says that a file of that name shall not count.
    case masked
    /// Why not, and what to do.
    case failed(String)
}

/// What listing one folder gave.
enum FolderListing: Equatable {
    case names([String])
    case failed(String)
}

/// Whether anything of that name is there, be it a link to nowhere.
func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 || errno != ENOENT && errno != ENOTDIR
}

/// The content of a regular file of at most `limit` bytes.
func readFile(_ path: String, limit: Int) -> FileReading {
    // O_NONBLOCK: opening a pipe that nobody writes would wait for ever, fifo(7).
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else { return .failed("cannot be opened: \(reason(errno))") }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return .failed("cannot be examined: \(reason(errno))") }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return read(descriptor, limit: limit)
    case S_IFCHR where isNull(status): return .masked
    case S_IFDIR: return .failed("is a directory; put a file in its place or remove it")
    default: return .failed("is no regular file; put a file in its place or remove it")
    }
}

/// The names in a folder that systemd would take for drop-ins. A folder that is not there has none.
func dropInNames(in folder: String) -> FolderListing {
    do throws(FileFailure) {
        return .names(try names(inFolder: folder).filter { $0.hasSuffix(".conf") && !$0.hasPrefix(".") })
    } catch {
        return error.errno == ENOENT ? .names([]) : .failed("cannot be listed: \(reason(error.errno))")
    }
}

private func read(_ descriptor: Int32, limit: Int) -> FileReading {
    do throws(SystemError) { return .content(try readAll(descriptor, limit: limit)) } catch {
        guard error.errno == EFBIG else { return .failed("cannot be read: \(reason(error.errno))") }
        return .failed("is larger than \(limit >> 10) KiB, too large for a configuration file; shorten it")
    }
}

/// makedev(1, 3): the number of /dev/null in the kernel's admin-guide/devices.txt.
private func isNull(_ status: stat) -> Bool { status.st_rdev == 0x103 }

private func reason(_ code: Int32) -> String {
    // strerror's buffer is shared by threads; the daemon has one.
    let text = strerror(code).map { String(cString: $0) } ?? "error \(code)"
    switch code {
    case EACCES, EPERM: return "\(text); let the daemon's user read it"
    case ELOOP, ENOENT: return "\(text); create it, or remove what points to it"
    default: return text
    }
}
