// What the network of the host goes through: which interfaces belong to a device, and what the host does with these and
// with all that stands on them. No I/O.
//
// A function that is passed on while the physical function's own interface, or its representor, works for the host is
// the ordinary case of SR-IOV, and no use of it. Representors lie in the folder of the physical function: they are
// interfaces of that device, as its own are (SET_NETDEV_DEV in drivers/net/ethernet/mellanox/mlx5/core/en_rep.c).

import Host

/// The interfaces of a host, and what is known to go through them.
struct NetworkUses: UseSource {
    var interfaces: [NetworkInterface] = []
    /// Folders named `net`, of devices that have interfaces, which show none: these are in another network namespace.
    var hidden: [[String]] = []
    /// What the kernel told of addresses and routes.
    var routing = RoutingAnswer()
    /// What comes over the network.
    var storage: [RemoteStorage] = []
    /// The names of RDMA devices that software makes of an interface (rxe, siw), by the interface.
    var softwareRDMA: [String: [String]] = [:]
    /// Why addresses and routes are not known at all; of a device that has no interface it says nothing.
    var unrouted: String?
    /// Why it is not known in full which interfaces there are.
    var unread: String?

    /// As many routes of an interface are told.
    private static let mostRoutes = 4

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        let stack = InterfaceStack(interfaces)
        let own = interfaces.filter { subject.has($0.path) }
        var kinds = hidden.filter { subject.has($0) }.map { _ in DeviceUse.Kind.otherNetwork }
        for interface in own { kinds += kindsOf(interface, stack) }
        if let unread { kinds.append(.unknown(reason: unread)) }
        if !own.isEmpty, let unrouted { kinds.append(.unknown(reason: unrouted)) }
        return kinds
    }

    private func kindsOf(_ interface: NetworkInterface, _ stack: InterfaceStack) -> [DeviceUse.Kind] {
        let name = interface.name
        var kinds: [DeviceUse.Kind] = interface.master.map { [.port(interface: name, of: $0)] } ?? []
        kinds += (stack.uppers(of: interface) + (softwareRDMA[name] ?? [])).map { .upper(interface: name, upper: $0) }
        if interface.isUp, interface.isInfiniBand { kinds.append(.ipOverInfiniBand(interface: name)) }
        for involved in stack.withAllAbove([interface]) { kinds += traffic(involved) }
        guard interface.isUp, !kinds.contains(where: { $0.rule.severity.stopsClaim }), unrouted == nil else {
            return kinds
        }
        return kinds + [.linkUp(interface: name)]
    }

    /// What goes through an interface.
    private func traffic(_ interface: NetworkInterface) -> [DeviceUse.Kind] {
        guard let index = interface.index else {
            return [.unknown(reason: "its interface \(interface.name) has no number in /sys/class/net")]
        }
        // Remote storage names what would be lost; it comes first.
        var kinds: [DeviceUse.Kind] = storage.filter { goes($0, over: interface, index) }
            .map { .remoteStorage($0.text, interface: interface.name) }
        guard interface.isUp else { return kinds }
        let addresses = routing.addresses.filter { $0.interface == index && !$0.isOfLink }
        kinds += addresses.map { .address("\($0.prefix)", interface: interface.name) }
        // With an address come routes that the kernel makes.
        let routes = (routing.routes[index] ?? []).filter { !$0.isOfLink && !($0.isOfKernel && !addresses.isEmpty) }
        let texts =
            routes.filter { $0.destination == nil }.map(\.text) + routes.filter { $0.destination != nil }.map(\.text)
        var told: [String] = []
        for text in texts where !told.contains(text) && told.count < Self.mostRoutes { told.append(text) }
        kinds += told.map { .route(to: $0, interface: interface.name) }
        // What is known already refuses; what is not known must not make it free.
        if kinds.isEmpty, let reason = routing.unknown[index] {
            kinds.append(.unknown(reason: "of the addresses and routes of \(interface.name): \(reason)"))
        }
        return kinds
    }

    private func goes(_ storage: RemoteStorage, over interface: NetworkInterface, _ index: UInt32) -> Bool {
        if let name = storage.interface { return name == interface.name }
        return storage.servers.contains { routing.ways[$0] == index }
    }
}
