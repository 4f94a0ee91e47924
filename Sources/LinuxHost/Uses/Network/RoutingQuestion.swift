// What is asked of the kernel about addresses and routes, and what its answers say. Values and bytes, no I/O
// (include/uapi/linux/rtnetlink.h, if_addr.h).
//
// All is asked with strict checking, so that the kernel itself picks what concerns an interface: of routes with RTA_OIF,
// which also picks routes of several paths and those through nexthop objects, in every table, those of VRFs among them
// (fib_dump_filter and fib_info_nh_uses_dev in net/ipv4/fib_semantics.c, rt6_dump_route in net/ipv6/route.c). A router with
// a million routes need not hand them all out for one interface.

import Glibc

/// A question to the kernel.
enum RoutingQuestion: Hashable, Sendable {
    /// The addresses of an interface.
    case addresses(interface: UInt32, isIPv6: Bool)
    /// The routes through an interface.
    case routes(interface: UInt32, isIPv6: Bool)
    /// The interface that leads to an address.
    case way(to: InternetAddress)

    /// All about interfaces, and about the ways to some servers. A kernel without IPv6 answers what is asked about that for
    /// all families, some of which refuse (rtnl_dump_all in net/core/rtnetlink.c): it is not asked.
    static func all(
        interfaces: [UInt32], servers: [InternetAddress], hasIPv6: Bool = true
    ) -> [RoutingQuestion] {
        let questions =
            interfaces.flatMap { index in
                [false, true].flatMap { isIPv6 -> [RoutingQuestion] in
                    [.addresses(interface: index, isIPv6: isIPv6), .routes(interface: index, isIPv6: isIPv6)]
                }
            } + servers.map { .way(to: $0) }
        return hasIPv6 ? questions : questions.filter { !$0.isAboutIPv6 }
    }

    /// The question as the kernel reads it.
    func message(sequence: UInt32) -> NetlinkMessage {
        var body: [UInt8] = []
        switch self {
        case .addresses(let interface, let isIPv6):
            // struct ifaddrmsg: family, length of the prefix, flags, scope, interface
            body = [Self.family(isIPv6), 0, 0, 0]
            body.add(interface)
        case .routes(let interface, let isIPv6):
            body = Self.routeHeader(isIPv6, length: 0)
            var index: [UInt8] = []
            index.add(interface)
            body.add(attribute: RoutingMessage.outputInterface, index)
        case .way(let address):
            body = Self.routeHeader(address.isIPv6, length: UInt8(address.bytes.count * 8))
            body.add(attribute: RoutingMessage.destination, address.bytes)
        }
        return NetlinkMessage(type: type, flags: flags, sequence: sequence, body: body)
    }

    private var type: UInt16 {
        if case .addresses = self { RoutingMessage.getAddress } else { RoutingMessage.getRoute }
    }

    private var flags: UInt16 {
        // NLM_F_REQUEST, and NLM_F_DUMP for lists.
        if case .way = self { 0x1 } else { 0x301 }
    }

    var isAboutIPv6: Bool {
        switch self {
        case .addresses(_, let isIPv6), .routes(_, let isIPv6): isIPv6
        case .way(let address): address.isIPv6
        }
    }

    private static func family(_ isIPv6: Bool) -> UInt8 { UInt8(isIPv6 ? AF_INET6 : AF_INET) }

    /// struct rtmsg: family, lengths of destination and source, type of service, table (0: all), protocol, scope, type,
    /// flags.
    private static func routeHeader(_ isIPv6: Bool, length: UInt8) -> [UInt8] {
        [family(isIPv6), length] + [UInt8](repeating: 0, count: 10)
    }
}

/// Types of messages and attributes.
enum RoutingMessage {
    static let newAddress: UInt16 = 20
    static let getAddress: UInt16 = 22
    static let newRoute: UInt16 = 24
    static let getRoute: UInt16 = 26
    /// IFA_ADDRESS, and IFA_LOCAL, which differ where there is a peer.
    static let address: UInt16 = 1
    static let localAddress: UInt16 = 2
    /// RTA_DST, RTA_OIF, RTA_TABLE
    static let destination: UInt16 = 1
    static let outputInterface: UInt16 = 4
    static let table: UInt16 = 15
}

/// An address of an interface.
struct InterfaceAddress: Hashable, Sendable {
    var prefix: InternetPrefix
    var interface: UInt32
    /// From 0, the whole world, to 254, this host alone.
    var scope: UInt8

    /// Whether it reaches no further than the link (RT_SCOPE_LINK is 253).
    var isOfLink: Bool { scope >= 253 || prefix.address.isLinkLocal }

    /// What an RTM_NEWADDR says.
    init?(_ message: NetlinkMessage) {
        guard message.type == RoutingMessage.newAddress, message.body.count >= 8,
            let interface = message.body[...].number(at: 4, UInt32.self)
        else { return nil }
        let attributes = message.attributes(after: 8)
        guard let bytes = attributes[RoutingMessage.localAddress] ?? attributes[RoutingMessage.address],
            let address = InternetAddress(bytes: bytes)
        else { return nil }
        self.prefix = InternetPrefix(address: address, length: message.body[1])
        self.interface = interface
        scope = message.body[3]
    }
}

/// A route.
struct Route: Hashable, Sendable {
    /// nil for a default route.
    var destination: InternetPrefix?
    var table: UInt32
    /// Who made it: 2 is the kernel (RTPROT_KERNEL).
    var origin: UInt8
    /// 1 is one that leads somewhere (RTN_UNICAST); others are addresses of this host, broadcasts and the like.
    var kind: UInt8
    /// Of several paths, nil.
    var interface: UInt32?

    /// What an RTM_NEWROUTE says.
    init?(_ message: NetlinkMessage) {
        guard message.type == RoutingMessage.newRoute, message.body.count >= 12 else { return nil }
        let attributes = message.attributes(after: 12)
        let length = message.body[1]
        if let bytes = attributes[RoutingMessage.destination], let address = InternetAddress(bytes: bytes) {
            destination = InternetPrefix(address: address, length: length)
        } else if length != 0 {
            return nil
        }
        table = attributes[RoutingMessage.table]?[...].number(at: 0, UInt32.self) ?? UInt32(message.body[4])
        origin = message.body[5]
        kind = message.body[7]
        interface = attributes[RoutingMessage.outputInterface]?[...].number(at: 0, UInt32.self)
    }

    /// Whether the kernel made it for itself.
    var isOfKernel: Bool { origin == 2 }

    /// Whether the kernel made it for a link alone, or for many receivers: every interface that is up has such routes.
    var isOfLink: Bool {
        guard isOfKernel else { return false }
        guard kind == 1 else { return true }
        return destination.map { $0.address.isLinkLocal || $0.address.isMulticast } ?? false
    }

    /// Where it leads, in words: "default", "10.0.0.0/8", "default of table 100".
    var text: String {
        let destination = destination.map { "\($0)" } ?? "default"
        // RT_TABLE_DEFAULT, RT_TABLE_MAIN and RT_TABLE_LOCAL go without saying.
        return (253...255).contains(table) || table == 0 ? destination : "\(destination) of table \(table)"
    }
}
