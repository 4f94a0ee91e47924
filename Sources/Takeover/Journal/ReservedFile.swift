// A file that can be replaced in a file system that is full. It has a spare of the same size; what is new is written into
// the spare, in room that it has, and the two change places in one step. Both are filled up with line ends, which JSON
// ignores.

import CLinux
import EventLoop
import Files
import Glibc

/// A file and its spare.
@LoopActor
struct ReservedFile {
    /// What the spare is called in addition.
    static let spare = ".spare"

    let path: String
    /// Takes room for an open file of at least so many bytes; 0, or an error number.
    let allocate: @LoopActor (Int32, Int) -> Int32

    /// Puts new contents in the place of the old in one step.
    ///
    /// - Parameters:
    ///   - bytes: the contents.
    ///   - room: how much longer they may get.
    /// - Throws: the call that failed; then the old contents are there, whole. For a file that is new this is also that
    ///   there is no room for it and its spare.
    func replace(with bytes: [UInt8], room: Int) throws(FileFailure) {
        let isNew = access(path, F_OK) != 0
        do throws(FileFailure) {
            try write(bytes, to: path + Self.spare, room, isNew: isNew)
            if isNew {
                // Both are there before anything is done that is on record in them.
                try swap(path + Self.spare, path, exchange: false)
                try write(bytes, to: path + Self.spare, room, isNew: true)
            } else {
                try swap(path + Self.spare, path, exchange: true)
            }
        } catch {
            if isNew { try? remove() }
            throw error
        }
    }

    /// Removes both.
    func remove() throws(FileFailure) {
        // The spare alone is nothing: it is removed at the next start.
        for path in [path, path + Self.spare] where unlink(path) < 0 && errno != ENOENT {
            throw FileFailure(path: path, call: "unlink", errno: errno)
        }
    }

    /// Writes the whole of a file. It gets more room when half of that is used up, if there is any, and must where it is
    /// new.
    private func write(_ bytes: [UInt8], to path: String, _ room: Int, isNew: Bool) throws(FileFailure) {
        let file = clinux_open_to_rewrite(path, 0o600)
        guard file >= 0 else { throw FileFailure(path: path, call: "open", errno: -file) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw FileFailure(path: path, call: "stat", errno: errno) }
        var size = Int(status.st_size)
        if size < bytes.count + room / 2 {
            let error = allocate(file, bytes.count + room)
            if error == 0 {
                size = bytes.count + room
            } else if isNew || size < bytes.count {
                throw FileFailure(path: path, call: "reserve \(bytes.count + room) bytes for", errno: error)
            }
        }
        do throws(SystemError) {
            try writeAll(bytes + [UInt8](repeating: UInt8(ascii: "\n"), count: max(0, size - bytes.count)), to: file)
        } catch { throw FileFailure(path: path, call: "write", errno: error.errno) }
    }

    private func swap(_ new: String, _ old: String, exchange: Bool) throws(FileFailure) {
        if exchange {
            let error = -clinux_exchange(new, old)
            if error == 0 { return }
            // Not every file system changes two files' places; then the spare is made anew for the next time.
            guard error == EINVAL || error == ENOSYS else {
                throw FileFailure(path: old, call: "renameat2", errno: error)
            }
        }
        guard rename(new, old) == 0 else { throw FileFailure(path: old, call: "rename", errno: errno) }
    }
}
