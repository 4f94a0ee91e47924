// What the network of the host goes through.

import EventLoop
import Files
import Glibc
import Host

/// The interfaces of a host, and the routes through them.
struct NetworkUses: UseSource {
    var interfaces: [NetworkInterface] = []
    /// The interfaces of default routes.
    var defaultInterfaces: [String] = []
    /// Why the use of interfaces is not known in full; of a device that has none it says nothing.
    var unknown: [String] = []
    /// Why it is not known in full which interfaces there are.
    var unread: String?

    @LoopActor static func read(_ question: UseQuestion) async -> NetworkUses {
        let reader = UseReader(below: question.host.root)
        var uses = NetworkUses()
        uses.interfaces = reader.devices("class/net").map { name, path in
            let lower = reader.names(path).filter { $0.hasPrefix("lower_") }
            return NetworkInterface(name: name, path: path, lower: lower.map { String($0.dropFirst("lower_".count)) })
        }
        uses.readRoutes(question.host)
        uses.unread = reader.failure
        return uses
    }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        let own = interfaces.filter { subject.has($0.path) }
        let routed = withLower(defaultInterfaces, interfaces)
        var kinds: [DeviceUse.Kind] = own.filter { routed.contains($0.name) }
            .map { .route(to: "default", interface: $0.name) }
        if !own.isEmpty { kinds += unknown.map { .unknown(reason: $0) } }
        if let unread { kinds.append(.unknown(reason: unread)) }
        return kinds
    }

    /// Reads the default routes, of process 1 where that can be seen.
    @LoopActor private mutating func readRoutes(_ host: LinuxHost) {
        let folders = ["proc/1/net", "proc/net"]
        guard let name = folders.first(where: { access(host.joined($0 + "/route"), R_OK) == 0 }),
            let net = try? Directory(path: host.joined(name)), let routes = try? net.readAll("route")
        else {
            unknown.append("the routes cannot be read from /proc/net/route")
            return
        }
        defaultInterfaces += RouteTable.defaultInterfaces(ofIPv4: routes)
        // There is none where IPv6 is switched off.
        if let routes = try? net.readAll("ipv6_route") {
            defaultInterfaces += RouteTable.defaultInterfaces(ofIPv6: routes)
        }
    }
}
