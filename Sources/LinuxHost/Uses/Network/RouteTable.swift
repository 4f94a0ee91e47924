// Which interfaces the default route leads through, and which interfaces these stand on. From /proc, which shows the
// table main, and of several paths the first: netlink would tell more, but may wait for the lock that a driver holds
// while it is unbound.

import Inventory

/// A network interface as /sys/class/net shows it.
struct NetworkInterface: Equatable, Sendable {
    var name: String
    /// Its folder.
    var path: [String]
    /// The interfaces that it stands on: of a bond, a bridge, a VLAN (`lower_*`).
    var lower: [String] = []
}

/// The routing table main, as text.
enum RouteTable {
    /// The interfaces of default routes in /proc/net/route: destination and mask are 0.
    static func defaultInterfaces(ofIPv4 bytes: some Collection<UInt8>) -> [String] {
        bytes.split(separator: 0x0a).dropFirst().compactMap { line in
            let fields = line.split(whereSeparator: { $0 == 0x20 || $0 == 0x09 })
            guard fields.count > 7, isZero(fields[1]), isZero(fields[7]) else { return nil }
            return String(decoding: fields[0], as: UTF8.self)
        }
    }

    /// The interfaces of default routes in /proc/net/ipv6_route: destination ::/0. The kernel's own route to nowhere goes
    /// through `lo`.
    static func defaultInterfaces(ofIPv6 bytes: some Collection<UInt8>) -> [String] {
        bytes.split(separator: 0x0a).compactMap { line in
            let fields = line.split(whereSeparator: { $0 == 0x20 || $0 == 0x09 })
            guard fields.count > 9, isZero(fields[0]), isZero(fields[1]), !fields[9].elementsEqual("lo".utf8) else {
                return nil
            }
            return String(decoding: fields[9], as: UTF8.self)
        }
    }
}

private func isZero(_ digits: some Collection<UInt8>) -> Bool {
    !digits.isEmpty && digits.allSatisfy { $0 == UInt8(ascii: "0") }
}

/// The interfaces with all that they stand on.
func withLower(_ names: [String], _ interfaces: [NetworkInterface]) -> Set<String> {
    var found: Set<String> = []
    var next = names
    while let name = next.popLast() {
        guard found.insert(name).inserted else { continue }
        next += interfaces.first { $0.name == name }?.lower ?? []
    }
    return found
}
