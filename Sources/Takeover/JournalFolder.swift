// Where claims are on record: one file a claim, each replaced as a whole, in a folder that does not outlive a boot.

import CLinux
public import EventLoop
import Glibc
import Grouping
import JSON
import Varlink

/// Why something could not be put on record.
public struct JournalError: Error, Equatable, Sendable, CustomStringConvertible {
    public var path: String
    public var call: String
    public var errno: Int32

    public init(path: String, call: String, errno: Int32) {
        self.path = path
        self.call = call
        self.errno = errno
    }

    public var description: String { "\(call) \(path): \(String(cString: strerror(errno)))" }
}

/// Where claims are on record.
@LoopActor
public protocol ClaimJournal: AnyObject, Sendable {
    /// Puts a claim on record, or what is new about it.
    func save(_ claim: Claim) throws(JournalError)
    /// Takes a claim off the record.
    func remove(_ id: String) throws(JournalError)
    /// Puts a quarantine on record; nil ends it.
    func setQuarantine(_ reason: String?, of group: GroupID) throws(JournalError)
    /// What is on record of this boot. What cannot be used is set aside, and said in `problems`.
    func load() throws(JournalError) -> JournalContents
}

/// What is on record.
public struct JournalContents: Equatable, Sendable {
    public var claims: [Claim] = []
    /// Why groups are in quarantine.
    public var quarantines: [GroupID: String] = [:]
    /// Files that were set aside, each with the reason.
    public var problems: [String] = []
}

/// A journal in a folder.
@LoopActor
public final class JournalFolder: ClaimJournal {
    /// The folder, which only root may look into.
    public let path: String
    private let bootID: String

    /// What files that are set aside are called in addition.
    static let aside = ".aside"

    /// Makes the folder if it is not there.
    public init(path: String, bootID: String) throws(JournalError) {
        self.path = path
        self.bootID = bootID
        if mkdir(path, 0o700) < 0, errno != EEXIST { throw JournalError(path: path, call: "mkdir", errno: errno) }
        var status = stat()
        guard lstat(path, &status) == 0 else { throw JournalError(path: path, call: "stat", errno: errno) }
        guard status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(), status.st_mode & 0o022 == 0 else {
            // What others may write would be executed as root.
            throw JournalError(path: path, call: "not a folder that only its owner writes to:", errno: EPERM)
        }
    }

    public func save(_ claim: Claim) throws(JournalError) {
        var writer = JSONWriter()
        Journal.Claim(claim, bootID: bootID).write(to: &writer)
        try replace(claim.id + ".json", with: writer.bytes)
    }

    public func remove(_ id: String) throws(JournalError) { try delete(id + ".json") }

    public func setQuarantine(_ reason: String?, of group: GroupID) throws(JournalError) {
        let name = "quarantine-\(group.text).json"
        guard let reason else { return try delete(name) }
        var writer = JSONWriter()
        Journal.Quarantine(version: Journal.version, bootId: bootID, group: group.text, reason: reason)
            .write(to: &writer)
        try replace(name, with: writer.bytes)
    }

    public func load() throws(JournalError) -> JournalContents {
        var contents = JournalContents()
        for name in try names() {
            guard name.hasSuffix(".json") else {
                // Half of a file that was being written when the daemon was killed: the one before it is whole.
                if name.hasSuffix(".new") { try delete(name) }
                continue
            }
            do throws(Journal.Unfit) {
                try read(name, into: &contents)
            } catch {
                let kept = path + "/" + name + Self.aside
                guard rename(path + "/" + name, kept) == 0 else {
                    throw JournalError(path: path + "/" + name, call: "rename", errno: errno)
                }
                contents.problems.append("\(name) is not executed: \(error.reason); it is kept as \(kept)")
            }
        }
        contents.claims.sort { ($0.since, $0.id) < ($1.since, $1.id) }
        return contents
    }

    private func read(_ name: String, into contents: inout JournalContents) throws(Journal.Unfit) {
        let value = try parse(name)
        guard case .object(let fields) = value, case .int(let version)? = fields["version"],
            case .string(let boot)? = fields["bootId"]
        else { throw .init(reason: "it has no version and boot") }
        guard version == Journal.version else {
            throw .init(reason: "it is of version \(version), which this daemon does not know")
        }
        guard boot == bootID else { throw .init(reason: "it is of another boot, which has undone what it is about") }
        if name.hasPrefix("quarantine-") {
            let quarantine: Journal.Quarantine = try decode(value)
            guard let group = GroupID(quarantine.group), name == "quarantine-\(group.text).json" else {
                throw .init(reason: "group is missing or not what it should be")
            }
            contents.quarantines[group] = quarantine.reason
        } else {
            let record: Journal.Claim = try decode(value)
            guard record.id + ".json" == name else { throw .init(reason: "id is missing or not what it should be") }
            contents.claims.append(try record.claim())
        }
    }

    private func decode<Value: VarlinkValue>(_ value: JSONValue) throws(Journal.Unfit) -> Value {
        do throws(InvalidParameter) { return try Value(reading: value, .call) } catch {
            throw .init(reason: "\(error.path.isEmpty ? "it" : error.path) is missing or not what it should be")
        }
    }

    private func parse(_ name: String) throws(Journal.Unfit) -> JSONValue {
        let bytes: [UInt8]
        do throws(JournalError) { bytes = try contents(of: name) } catch { throw .init(reason: "\(error)") }
        do throws(JSONSyntaxError) {
            return try JSONValue(parsing: String(decoding: bytes, as: UTF8.self), limits: .lenient)
        } catch {
            throw .init(reason: "it is no JSON: \(error.reason) at byte \(error.offset)")
        }
    }
}

extension JournalFolder {
    private func names() throws(JournalError) -> [String] {
        guard let folder = opendir(path) else { throw JournalError(path: path, call: "opendir", errno: errno) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    private func contents(of name: String) throws(JournalError) -> [UInt8] {
        let path = self.path + "/" + name
        let file = clinux_openat(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW)
        guard file >= 0 else { throw JournalError(path: path, call: "open", errno: -file) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let n = Glibc.read(file, &chunk, chunk.count)
            if n < 0, errno == EINTR { continue }
            guard n >= 0 else { throw JournalError(path: path, call: "read", errno: errno) }
            if n == 0 { return bytes }
            bytes += chunk[..<n]
        }
    }

    /// Writes a file of another name, and puts it in the place of the old one.
    private func replace(_ name: String, with bytes: [UInt8]) throws(JournalError) {
        let path = self.path + "/" + name
        let new = path + ".new"
        let file = clinux_create(new, 0o600)
        guard file >= 0 else { throw JournalError(path: new, call: "open", errno: -file) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let n = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if n < 0, errno == EINTR { continue }
            guard n > 0 else {
                let error = errno
                close(file)
                unlink(new)
                throw JournalError(path: new, call: "write", errno: error)
            }
            rest = rest.dropFirst(n)
        }
        close(file)
        // No fsync: the folder is in memory and goes with the boot.
        guard rename(new, path) == 0 else {
            let error = errno
            unlink(new)
            throw JournalError(path: path, call: "rename", errno: error)
        }
    }

    private func delete(_ name: String) throws(JournalError) {
        let path = self.path + "/" + name
        if unlink(path) < 0, errno != ENOENT { throw JournalError(path: path, call: "unlink", errno: errno) }
    }
}
