// Reading sysfs, or another file system of the kernel's, for a source of uses. What is not there is nothing; what was denied
// or could not be read for want of descriptors or memory may be anything, and is kept so that no source takes it for nothing.

import EventLoop
import Files
import Glibc
import Inventory
import PCI

/// Reads below /sys, or another folder of the root, and keeps the first failure that leaves something unknown.
@LoopActor
final class UseReader {
    /// Why not all that was asked for is known, in words; nil when it is.
    private(set) var failure: String?
    private let root: String
    private let folder: String

    init(below root: String, folder: String = "sys") {
        self.root = root
        self.folder = folder
    }

    /// The names of a folder's entries, sorted; none of a folder that is not there.
    func names(_ path: [String]) -> [String] {
        attempt(path) { () throws(SystemError) in
            try Directory(path: full(path)).names()
        } ?? []
    }

    /// The text of an attribute without surrounding white space; nil where there is none.
    func text(_ name: String, in path: [String]) -> String? {
        attempt(path + [name]) { () throws(SystemError) in
            // The name of a folder may be a link, that of an attribute may not.
            let words = name.split(separator: "/").map { String($0) }
            return try Directory(path: full(path + words.dropLast())).text(words.last ?? name)
        }
    }

    /// The lines of a file of any length, without empty ones; none where there is none.
    func lines(_ name: String, in path: [String]) -> [String] {
        let bytes = attempt(path + [name]) { () throws(SystemError) in
            try Directory(path: full(path)).readAll(name, limit: 1 << 20)
        }
        return bytes?.split(separator: 0x0a).map { String(decoding: $0, as: UTF8.self) } ?? []
    }

    /// Where a link leads, below /sys; nil where there is none.
    func link(_ name: String, in path: [String]) -> [String]? {
        attempt(path + [name]) { () throws(SystemError) in
            SysfsPath(target: try Directory(path: full(path)).link(name), from: path)?.components
        } ?? nil
    }

    /// The last component of where a link leads: the name of a driver, a master.
    func linkName(_ name: String, in path: [String]) -> String? {
        attempt(path + [name]) { () throws(SystemError) in try Directory(path: full(path)).linkName(name) }
    }

    /// The devices of a class or bus by their names, with their folders below /sys: `class/net`, `bus/vdpa/devices`.
    func devices(_ folder: String) -> [(name: String, path: [String])] {
        let base = folder.split(separator: "/").map { String($0) }
        let found = attempt(base) { () throws(SystemError) in
            let entries = try Directory(path: full(base))
            var found: [(name: String, path: [String])] = []
            for name in try entries.names() {
                let target: String
                do throws(SystemError) { target = try entries.link(name) } catch {
                    // bonding_masters and the like, and what has just gone.
                    if error.isVanished || error.errno == EINVAL { continue }
                    throw error
                }
                guard let path = SysfsPath(target: target, from: base) else { continue }
                found.append((name, path.components))
            }
            return found
        }
        return found ?? []
    }

    private func full(_ path: some Sequence<String>) -> String {
        (root.hasSuffix("/") ? root : root + "/") + folder + "/" + path.joined(separator: "/")
    }

    private func attempt<Value>(_ path: [String], _ body: () throws(SystemError) -> Value) -> Value? {
        do throws(SystemError) { return try body() } catch {
            if failure == nil, error.leavesUnknown {
                failure = "/\(folder)/\(path.joined(separator: "/")) cannot be read: \(errorText(error.errno))"
            }
            return nil
        }
    }
}

extension SystemError {
    /// A limit or a rule (of permissions, or of a security module) kept something from being seen.
    var leavesUnknown: Bool { isShortage || errno == EACCES || errno == EPERM }
}
