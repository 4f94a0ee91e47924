// The network interfaces of a host, and which of them stand on which.

/// A network interface as /sys/class/net shows it (Documentation/ABI/testing/sysfs-class-net). Its attributes that take
/// the lock RTNL (speed, phys_port_name and others) are not read.
struct NetworkInterface: Equatable, Sendable {
    var name: String
    /// Its folder.
    var path: [String]
    /// Its number in its network namespace.
    var index: UInt32?
    /// Whether somebody has set it up (IFF_UP).
    var isUp = false
    /// Whether it carries IP over InfiniBand (ARPHRD_INFINIBAND).
    var isInfiniBand = false
    /// What it is a port of: a bond, a bridge, a team, a VRF, `ovs-system`.
    var master: String?
    /// The interfaces that it stands on (`lower_*`).
    var lower: [String] = []
    /// The interfaces that stand on it (`upper_*`), its master among them.
    var upper: [String] = []
}

/// Which interfaces stand on which.
struct InterfaceStack: Sendable {
    private let byName: [String: NetworkInterface]
    private var above: [String: Set<String>] = [:]

    init(_ interfaces: [NetworkInterface]) {
        byName = Dictionary(interfaces.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for interface in interfaces {
            above[interface.name, default: []].formUnion(interface.upper + [interface.master].compactMap { $0 })
            for lower in interface.lower { above[lower, default: []].insert(interface.name) }
        }
    }

    /// The interfaces with all that stand on them, each once, what is near first.
    func withAllAbove(_ interfaces: [NetworkInterface]) -> [NetworkInterface] {
        var found: [NetworkInterface] = []
        var seen: Set<String> = []
        var next = interfaces.map(\.name)[...]
        while let name = next.popFirst() {
            guard seen.insert(name).inserted else { continue }
            if let interface = byName[name] { found.append(interface) }
            next += (above[name] ?? []).sorted()
        }
        return found
    }

    /// What stands on an interface directly and is not its master.
    func uppers(of interface: NetworkInterface) -> [String] {
        (above[interface.name] ?? []).filter { $0 != interface.master }.sorted()
    }
}
