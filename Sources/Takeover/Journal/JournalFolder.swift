// Where claims are on record: one file a claim, each replaced as a whole, in a folder that does not outlive a boot. The
// room for all that may have to be written of a claim is taken when the claim is made: a folder that is full by then
// refuses the claim, and one that fills up later stops nothing.

public import EventLoop
import Files
import Glibc
import Grouping
import Inventory
import JSON
import Varlink

/// Where claims are on record.
@LoopActor
public protocol ClaimJournal: AnyObject, Sendable {
    /// Puts a claim on record, or what is new about it.
    func save(_ claim: Claim) throws(FileFailure)
    /// Takes a claim off the record.
    func remove(_ id: String) throws(FileFailure)
    /// Puts a quarantine on record; nil ends it.
    func setQuarantine(_ quarantine: Quarantine?, of group: GroupID) throws(FileFailure)
    /// What is on record of this boot. What cannot be used is set aside, and said in `problems`.
    func load() throws(FileFailure) -> JournalContents
}

/// What is on record.
public struct JournalContents: Equatable, Sendable {
    public var claims: [Claim] = []
    /// Why groups are in quarantine.
    public var quarantines: [GroupID: Quarantine] = [:]
    /// Files that were set aside, and those that are not understood in full, each with the reason.
    public var problems: [String] = []
}

/// A journal in a folder.
@LoopActor
public final class JournalFolder: ClaimJournal {
    /// The folder, which only root may look into.
    public let path: String
    private let bootID: String
    /// The records that another version has written, and holds more in than this one reads.
    private var foreign: [String: ForeignRecord] = [:]

    /// A claim of 1,000 members takes less than 1 MB.
    private static let largest = 64 << 20

    /// Takes room for a file: posix_fallocate, but for tests.
    var allocate: @LoopActor (Int32, Int) -> Int32 = { posix_fallocate($0, 0, $1) }

    /// What files that are set aside are called in addition.
    static let aside = ".aside"

    /// Makes the folder if it is not there.
    public init(path: String, bootID: String) throws(FileFailure) {
        self.path = path
        self.bootID = bootID
        // What others may write would be executed as root.
        try makeOwnFolder(path, mode: 0o700)
    }

    public func save(_ claim: Claim) throws(FileFailure) {
        let record = Journal.Claim(claim, bootID: bootID)
        var writer = JSONWriter()
        if let foreign = foreign[claim.id] {
            writer.value(foreign.changed(to: JSONValue(of: record)))
        } else {
            record.write(to: &writer)
        }
        try file(claim.id).replace(with: writer.bytes, room: Self.room(for: claim))
    }

    public func remove(_ id: String) throws(FileFailure) {
        try file(id).remove()
        foreign[id] = nil
    }

    private func file(_ id: String) -> ReservedFile {
        ReservedFile(path: path + "/" + id + ".json", allocate: allocate)
    }

    /// What may come to be on record of a claim until it is over: of each member a call, what became of its reset, and why;
    /// of the whole, what is said of it and when it was unowned.
    private static func room(for claim: Claim) -> Int {
        4096 + 512 * claim.groups.reduce(0) { $0 + $1.members.count }
    }

    public func setQuarantine(_ quarantine: Quarantine?, of group: GroupID) throws(FileFailure) {
        let name = "quarantine-\(group.text).json"
        guard let quarantine else { return try delete(name) }
        var writer = JSONWriter()
        Journal.Quarantine(
            version: Journal.version, bootId: bootID, group: group.text, reason: quarantine.reason,
            members: quarantine.members.map(Journal.DeviceAddress.init)
        )
        .write(to: &writer)
        try replace(name, with: writer.bytes)
    }

    public func load() throws(FileFailure) -> JournalContents {
        var contents = JournalContents()
        for name in try names(inFolder: path) where !name.hasPrefix(".") {
            guard name.hasSuffix(".json") else {
                // Half of a file that was being written when the daemon was killed: the one before it is whole.
                if name.hasSuffix(".new") { try delete(name) }
                if name.hasSuffix(ReservedFile.spare) { try deleteOrphan(name) }
                continue
            }
            do throws(Journal.Unfit) {
                try read(name, into: &contents)
            } catch {
                let kept = path + "/" + name + Self.aside
                guard rename(path + "/" + name, kept) == 0 else {
                    throw FileFailure(path: path + "/" + name, call: "rename", errno: errno)
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
        guard boot == bootID else { throw .init(reason: "it is of another boot, which has undone what it is about") }
        if name.hasPrefix("quarantine-") {
            let quarantine: Journal.Quarantine = try decode(value)
            var members: [DeviceAddress] = []
            for member in quarantine.members ?? [] { members.append(try DeviceAddress(member)) }
            guard let group = GroupID(quarantine.group), name == "quarantine-\(group.text).json" else {
                throw .init(reason: "group is missing or not what it should be")
            }
            contents.quarantines[group] = Quarantine(reason: quarantine.reason, members: members)
        } else {
            let known = try Journal.KnownForm(of: value, version: Int(version))
            let record: Journal.Claim = try decode(known.value)
            guard record.id + ".json" == name else { throw .init(reason: "id is missing or not what it should be") }
            var claim = try record.claim()
            claim.notUnderstood = known.notUnderstood
            foreign[claim.id] = ForeignRecord(
                known.original, readAs: JSONValue(of: Journal.Claim(claim, bootID: bootID)))
            contents.claims.append(claim)
            for reason in known.notUnderstood { contents.problems.append("\(name): \(reason)") }
        }
    }

    private func decode<Value: VarlinkValue>(_ value: JSONValue) throws(Journal.Unfit) -> Value {
        // Fields that are not known come from a newer daemon, which lets them be ignored.
        do throws(InvalidParameter) { return try Value(reading: value, .reply) } catch {
            throw .init(reason: "\(error.path.isEmpty ? "it" : error.path) is missing or not what it should be")
        }
    }

    private func parse(_ name: String) throws(Journal.Unfit) -> JSONValue {
        let bytes: [UInt8]
        do throws(FileFailure) { bytes = try readFile(path + "/" + name, limit: Self.largest) ?? [] } catch {
            throw .init(reason: "\(error)")
        }
        do throws(JSONSyntaxError) {
            return try JSONValue(parsing: String(decoding: bytes, as: UTF8.self), limits: .lenient)
        } catch {
            throw .init(reason: "it is no JSON: \(error.reason) at byte \(error.offset)")
        }
    }
}

extension JournalFolder {
    private func replace(_ name: String, with bytes: [UInt8]) throws(FileFailure) {
        // Not lasting: the folder is in memory and goes with the boot.
        try replaceFile(path + "/" + name, with: bytes, mode: 0o600)
    }

    /// The spare of a file that is gone: the daemon was killed between the two.
    private func deleteOrphan(_ name: String) throws(FileFailure) {
        let whole = path + "/" + name.dropLast(ReservedFile.spare.utf8.count)
        if access(whole, F_OK) != 0 { try delete(name) }
    }

    private func delete(_ name: String) throws(FileFailure) {
        let path = self.path + "/" + name
        if unlink(path) < 0, errno != ENOENT { throw FileFailure(path: path, call: "unlink", errno: errno) }
    }
}
