// The keys that files may set: for each its section, its name, the field it fills and how its text is read. A new key
// is one line of a list below.

import PCI

/// A kind of section. Those that take a name may be there several times.
enum SectionKind: String, CaseIterable {
    case daemon = "Daemon"
    case hostBridge = "HostBridge"
    case timing = "Timing"
    case limits = "Limits"
    case access = "Access"
    case reservation = "Reservation"

    /// What the name of a section of this kind is; nil where it has none.
    var nameText: String? {
        switch self {
        case .daemon, .timing, .limits, .access: nil
        case .hostBridge: "pciDDDD:BB"
        case .reservation: "NAME"
        }
    }

    /// Its header, for people.
    var header: String { "[\(rawValue)\(nameText.map { " " + $0 } ?? "")]" }

    /// The names of its keys.
    var keyNames: [String] {
        switch self {
        case .daemon: Key<Configuration>.daemon.map(\.name)
        case .hostBridge: Key<Configuration>.hostBridge(HostBridgeID(domain: 0, bus: 0)).map(\.name)
        case .timing: Key<Configuration>.timing.map(\.name)
        case .limits: Key<Configuration>.limits.map(\.name)
        case .access: Key<Configuration>.access.map(\.name)
        case .reservation: Key<ReservationDraft>.reservation.map(\.name)
        }
    }
}

/// One key of one kind of section, which fills a field of `Root`.
struct Key<Root> {
    let name: String
    /// Takes over a value; returns what is wrong with it, and then has changed nothing.
    let assign: (_ value: String, _ root: inout Root, _ accounts: Accounts) -> String?

    /// A key of which the last assignment counts, and to which an empty one gives its default back.
    init<Value>(
        _ name: String, _ field: WritableKeyPath<Root, Value>, default initial: Value,
        _ read: @escaping (String) -> Reading<Value>
    ) {
        self.name = name
        assign = { text, root, _ in
            guard !text.isEmpty else {
                root[keyPath: field] = initial
                return nil
            }
            switch read(text) {
            case .value(let value):
                root[keyPath: field] = value
                return nil
            case .refused(let why): return "\(name)=\(quoted(text)) \(why)"
            }
        }
    }

    /// A list of words, to which every assignment adds, and which an empty one empties.
    init<Element: Hashable>(
        _ name: String, listing field: WritableKeyPath<Root, Set<Element>>,
        _ read: @escaping (String, Accounts) -> Reading<Element>
    ) {
        self.name = name
        assign = { text, root, accounts in
            guard !text.isEmpty else {
                root[keyPath: field] = []
                return nil
            }
            var elements: Set<Element> = []
            for word in text.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init) {
                switch read(word, accounts) {
                case .value(let element): elements.insert(element)
                case .refused(let why): return "\(name)=\(quoted(word)) \(why)"
                }
            }
            root[keyPath: field].formUnion(elements)
            return nil
        }
    }
}

extension Key<Configuration> {
    private init<Value>(
        _ name: String, _ field: WritableKeyPath<Configuration, Value>, _ read: @escaping (String) -> Reading<Value>
    ) {
        self.init(name, field, default: Configuration()[keyPath: field], read)
    }

    static var daemon: [Key] {
        [
            Key("Backend", \.backend) { choice($0, what: "backend") },
            Key("Socket", \.socket) { absolutePath($0, longest: longestSocketPath) },
            Key("StateDirectory", \.stateDirectory) { absolutePath($0, longest: longestPath) },
        ]
    }

    static func hostBridge(_ id: HostBridgeID) -> [Key] {
        [Key("Backend", \.hostBridges[id]) { choice($0, what: "backend").map { .some($0) } }]
    }

    static var timing: [Key] {
        let (short, long) = (Duration.milliseconds(10), Duration.seconds(86_400))
        return [
            Key("BlockedAfterSec", \.timing.blockedAfter) { timeSpan($0, from: short, to: long) },
            Key("TakeoverTimeoutSec", \.timing.takeoverTimeout) { timeSpan($0, from: short, to: long) },
            Key("NodeTimeoutSec", \.timing.nodeTimeout) { timeSpan($0, from: short, to: long) },
            Key("ConsumerTimeoutSec", \.timing.consumerTimeout) { text in
                text == "infinity" ? .value(nil) : timeSpan(text, from: .seconds(1), to: long).map { .some($0) }
            },
            Key("FirstRetrySec", \.timing.firstRetry) { timeSpan($0, from: short, to: long) },
            Key("LastRetrySec", \.timing.lastRetry) { timeSpan($0, from: short, to: long) },
        ]
    }

    static var limits: [Key] {
        [
            Key("Connections", \.limits.connections) { number($0, from: Limits.rootReserve + 1, to: 1 << 20) },
            Key("ConnectionsPerUser", \.limits.connectionsPerUser) { number($0, from: 1, to: 1 << 20) },
            Key("Claims", \.limits.claims) { number($0, from: 1, to: 1 << 20) },
            Key("ClaimsPerUser", \.limits.claimsPerUser) { number($0, from: 1, to: 1 << 20) },
        ]
    }

    static var access: [Key] {
        [
            Key("ClaimUsers", listing: \.access.claim.users) { $1.user($0) },
            Key("ClaimGroups", listing: \.access.claim.groups) { $1.group($0) },
            Key("ClaimUnits", listing: \.access.claim.units) { text, _ in unitName(text) },
            Key("ReadUsers", listing: \.access.read.users) { $1.user($0) },
            Key("ReadGroups", listing: \.access.read.groups) { $1.group($0) },
            Key("ReadUnits", listing: \.access.read.units) { text, _ in unitName(text) },
        ]
    }
}

extension Key<ReservationDraft> {
    static var reservation: [Key] {
        [
            Key("Group", \.group, default: nil) { groupIdentity($0) },
            Key("Device", \.device, default: nil) { pciAddress($0).map { .some($0) } },
            Key("VendorId", \.vendorID, default: nil) { pciID($0) },
            Key("DeviceId", \.deviceID, default: nil) { pciID($0) },
            Key("Force", listing: \.force) { text, _ in pciAddress(text) },
        ]
    }
}
