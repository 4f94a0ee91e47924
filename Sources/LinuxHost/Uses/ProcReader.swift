// Reading /proc for a source of uses, as UseReader reads sysfs: what is not there is nothing, and what is there and
// cannot be read may be anything.

import EventLoop
import Files
import Glibc
import Inventory

/// Reads below /proc, and keeps the first failure.
@LoopActor
final class ProcReader {
    /// Why not all that was asked for is known, in words; nil when it is.
    private(set) var failure: String?
    private let root: String

    init(below root: String) { self.root = root.hasSuffix("/") ? root : root + "/" }

    /// The text of a file; nil where there is none.
    func text(_ path: String, limit: Int = 1 << 22) -> String? {
        attempt(path) { () throws(SystemError) in
            String(decoding: try contents(of: "\(root)proc/\(path)", limit: limit), as: UTF8.self)
        }
    }

    /// The names of a folder's entries, sorted; none of a folder that is not there.
    func names(_ path: String) -> [String] {
        attempt(path) { () throws(SystemError) in try Directory(path: "\(root)proc/\(path)").names() } ?? []
    }

    private func attempt<Value>(_ path: String, _ body: () throws(SystemError) -> Value) -> Value? {
        do throws(SystemError) { return try body() } catch {
            if failure == nil, !error.isVanished {
                failure = "/proc/\(path) cannot be read: \(errorText(error.errno))"
            }
            return nil
        }
    }
}
