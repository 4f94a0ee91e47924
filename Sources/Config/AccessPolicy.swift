// Who may do what: users, groups and units that files name, as the numbers and names that the kernel vouches for.

/// Some clients of the daemon.
public struct Clients: Sendable, Equatable {
    /// The uids of users.
    public var users: Set<UInt32> = []
    /// The gids of groups: a client counts by its own gid and by its supplementary ones.
    public var groups: Set<UInt32> = []
    /// System units: `NAME.service`, `NAME@.service` for all of its instances, `NAME.slice` for all that is in it.
    public var units: Set<String> = []

    public init() {}

    /// Whether nobody is among them.
    public var isEmpty: Bool { users.isEmpty && groups.isEmpty && units.isEmpty }
}

/// Who may do what. Root may do everything, whatever stands here.
public struct AccessPolicy: Sendable, Equatable {
    /// Who may claim groups, `ClaimUsers=`, `ClaimGroups=`, `ClaimUnits=`. They may read, too.
    public var claim = Clients()
    /// Who may read, `ReadUsers=`, `ReadGroups=`, `ReadUnits=`; everybody where nobody is named.
    public var read = Clients()

    public init() {}
}

/// The users and groups of this machine's own files. Those of a directory service are not asked for: that may take as
/// long as the network does, and the daemon has one thread.
struct Accounts: Sendable {
    private var users: [String: UInt32] = [:]
    private var groups: [String: UInt32] = [:]

    /// Nobody has a name.
    init() {}

    /// Those of /etc/passwd and /etc/group below `root`.
    init(root: String) {
        users = Self.numbers(in: "\(root)/etc/passwd")
        groups = Self.numbers(in: "\(root)/etc/group")
    }

    /// The uid that a text names, by itself or as a user's name.
    func user(_ text: String) -> Reading<UInt32> { number(text, in: users, what: "user", file: "/etc/passwd") }

    /// The gid that a text names, by itself or as a group's name.
    func group(_ text: String) -> Reading<UInt32> { number(text, in: groups, what: "group", file: "/etc/group") }

    private func number(_ text: String, in known: [String: UInt32], what: String, file: String) -> Reading<UInt32> {
        if let number = UInt32(text), text.utf8.first != UInt8(ascii: "+") {
            // (uid_t)-1 means "nobody said" in the kernel's calls.
            return number == .max ? .refused("is no \(what)") : .value(number)
        }
        if let number = known[text] { return .value(number) }
        return .refused("is no \(what) in \(file); write the number of one that comes from elsewhere")
    }

    /// The third field of each line by the first; a file that is not there, or is too large for one, has none.
    private static func numbers(in path: String) -> [String: UInt32] {
        guard case .content(let bytes) = readFile(path, limit: ConfigurationFiles.largestFile) else { return [:] }
        var numbers: [String: UInt32] = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count > 2, let number = UInt32(fields[2]), numbers[String(fields[0])] == nil else { continue }
            numbers[String(fields[0])] = number
        }
        return numbers
    }
}

/// A unit's name as systemd allows it and as a client can be in one: a service, a scope or a slice.
func unitName(_ text: String) -> Reading<String> {
    let suffixes = [".service", ".scope", ".slice"]
    guard let suffix = suffixes.first(where: { text.hasSuffix($0) }) else {
        return .refused(
            "is no unit that a client can be in; write one that ends in \(suffixes.joined(separator: ", "))")
    }
    let stem = text.utf8.dropLast(suffix.utf8.count)
    let isPlain = stem.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: ":-_.\\@".utf8.contains(byte)
        }
    }
    guard !stem.isEmpty, text.utf8.count <= 255, isPlain, stem.first != UInt8(ascii: "@") else {
        return .refused("is no unit's name; write it as systemctl shows it")
    }
    return .value(text)
}
