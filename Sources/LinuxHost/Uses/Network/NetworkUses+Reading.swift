// Reading what interfaces a host has, what goes through them, and what comes over them.

import EventLoop
import Files
import Glibc
import Host
import Inventory
import PCI

extension NetworkUses {
    /// So many interfaces and servers are asked about.
    private static let mostQuestions = 256

    @LoopActor static func read(_ question: UseQuestion) async -> NetworkUses {
        let reader = UseReader(below: question.host.root)
        var uses = NetworkUses()
        uses.interfaces = reader.devices("class/net").map { NetworkInterface(name: $0.name, at: $0.path, reader) }
        uses.hidden = question.subjects.flatMap(\.emptyNetworks)
        uses.readSoftwareRDMA(reader)
        uses.readStorage(question.mounts.mounts, reader)
        await uses.readRouting(question)
        uses.unread = reader.failure
        return uses
    }

    /// Asks about the interfaces of the devices, and all that stand on them.
    @LoopActor private mutating func readRouting(_ question: UseQuestion) async {
        let own = interfaces.filter { interface in question.subjects.contains { $0.has(interface.path) } }
        guard !own.isEmpty else { return }
        if let reason = question.host.otherNetworkReason() {
            unrouted = reason
            return
        }
        let indexes = InterfaceStack(interfaces).withAllAbove(own).compactMap(\.index)
        let servers = Set(storage.flatMap(\.servers)).sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        for index in indexes.dropFirst(Self.mostQuestions) {
            routing.unknown[index] = "there are too many interfaces to ask about"
        }
        let questions = RoutingQuestion.all(
            interfaces: Array(indexes.prefix(Self.mostQuestions)), servers: Array(servers.prefix(Self.mostQuestions)),
            hasIPv6: question.host.hasIPv6)
        let tooMany = routing.unknown
        switch await question.host.routing(RoutingQuestion.bytes(of: questions)) {
        case .bytes(let bytes): routing = RoutingAnswer(questions, NetlinkMessage.all(in: bytes))
        case .failed(let errno): unrouted = "the kernel cannot be asked about addresses and routes: \(errorText(errno))"
        case .late:
            unrouted =
                "the kernel does not tell about addresses and routes in time: "
                + "perhaps the driver of a network card holds the lock that this takes"
        }
        routing.unknown.merge(tooMany) { first, _ in first }
    }

    /// RDMA devices that are made of an interface by software: they lie below no device, and their first port names it.
    @LoopActor private mutating func readSoftwareRDMA(_ reader: UseReader) {
        for (name, path) in reader.devices("class/infiniband") where path.starts(with: ["devices", "virtual"]) {
            guard let interface = reader.text("ports/1/gid_attrs/ndevs/0", in: path) else { continue }
            softwareRDMA[interface, default: []].append(name)
        }
    }

    @LoopActor private mutating func readStorage(_ mounts: [Mount], _ reader: UseReader) {
        var found = Set(mounts.compactMap { RemoteStorage($0) })
        for (name, path) in reader.devices("class/nvme") {
            guard let transport = reader.text("transport", in: path), transport != "pcie",
                let address = reader.text("address", in: path)
            else { continue }
            if let storage = RemoteStorage(controller: name, transport: transport, address: address) {
                found.insert(storage)
            }
        }
        for (_, path) in reader.devices("class/iscsi_connection") {
            // .../host5/session1/connection1:0/iscsi_connection/connection1:0
            guard let index = path.lastIndex(where: { $0.hasPrefix("session") }),
                // What it was told to connect to may be a name; what it is connected to is none.
                let address = ["persistent_address", "address"].compactMap({ reader.text($0, in: path) })
                    .first(where: { InternetAddress($0) != nil })
            else { continue }
            let session = path[index]
            let target = reader.text("targetname", in: path[...index] + ["iscsi_session", session])
            if let storage = RemoteStorage(session: session, target: target, address: address) { found.insert(storage) }
        }
        storage = found.sorted { $0.text < $1.text }
    }
}

extension NetworkInterface {
    @LoopActor fileprivate init(name: String, at path: [String], _ reader: UseReader) {
        self.init(name: name, path: path)
        index = reader.text("ifindex", in: path).flatMap { decimal($0) }.flatMap { UInt32(exactly: $0) }
        let flags = reader.text("flags", in: path).flatMap { text -> UInt64? in
            text.hasPrefix("0x") ? unsignedInteger(text.utf8.dropFirst(2), radix: 16) : nil
        }
        // Of one that cannot be read it is not known, and assumed.
        isUp = flags.map { $0 & 1 != 0 } ?? true
        isInfiniBand = reader.text("type", in: path) == "32"
        master = reader.linkName("master", in: path)
        for entry in reader.names(path) {
            if entry.hasPrefix("lower_") { lower.append(String(entry.dropFirst("lower_".count))) }
            if entry.hasPrefix("upper_") { upper.append(String(entry.dropFirst("upper_".count))) }
        }
    }
}

extension RoutingQuestion {
    /// Questions as the kernel reads them, numbered from 1.
    static func bytes(of questions: [RoutingQuestion]) -> [UInt8] {
        questions.enumerated().flatMap { $1.message(sequence: UInt32(truncatingIfNeeded: $0 + 1)).bytes }
    }
}
