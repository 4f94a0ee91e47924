// What a host does with network cards, on made-up machines: each use, and a twin that is idle and must not be refused.

import EventLoop
import Glibc
import Host
import Inventory
import PCI
import Testing
import TestSupport

@testable import LinuxHost

@Suite("What a host's network goes through", .timeLimit(.minutes(5)))
struct NetworkUseTests {
    let sysfs = SyntheticSysfs()
    let nic: DeviceAddress
    /// The same card once more, which is idle.
    let twin: DeviceAddress
    let disk: DeviceAddress

    init() throws {
        try EventLoop.main.runInBackground()
        nic = .pci(try #require(PCIAddress("0000:02:00.0")))
        twin = .pci(try #require(PCIAddress("0000:02:00.1")))
        disk = .pci(try #require(PCIAddress("0000:03:00.0")))
        sysfs.add("0000:02:00.0", below: "pci0000:00")
        sysfs.add("0000:02:00.1", below: "pci0000:00")
        sysfs.add("0000:03:00.0", below: "pci0000:00", classCode: 0x010802)
        sysfs.folder.write("proc/1/mountinfo", "20 1 0:20 / /proc rw - proc proc rw\n")
        sysfs.folder.link("proc/1/ns/mnt", to: "mnt:[1]")
        for name in ["1", "self"] {
            sysfs.folder.link("proc/\(name)/ns/pid", to: "pid:[4026531836]")
            sysfs.folder.link("proc/\(name)/ns/net", to: "net:[1]")
        }
        interface("eth0", below: folder("0000:02:00.0"), index: 10)
        interface("eth1", below: folder("0000:02:00.1"), index: 12)
    }

    private func folder(_ address: String) -> String { String(sysfs.path(of: address).dropFirst(4)) }

    private func interface(
        _ name: String, below path: String, index: Int, flags: String = "0x1003", type: String = "1",
        master: String? = nil, lower: String...
    ) {
        let folder = "sys/\(path)/net/\(name)/"
        sysfs.folder.write(folder + "ifindex", "\(index)\n")
        sysfs.folder.write(folder + "flags", flags + "\n")
        sysfs.folder.write(folder + "type", type + "\n")
        sysfs.folder.link("sys/class/net/\(name)", to: "../../\(path)/net/\(name)")
        if let master { sysfs.folder.link(folder + "master", to: "../../x/\(master)") }
        for lower in lower { sysfs.folder.link(folder + "lower_\(lower)", to: "../x/\(lower)") }
    }

    private func device(_ path: String, class name: String, _ files: [String: String] = [:]) {
        sysfs.folder.makeFolder("sys/" + path)
        for (file, text) in files { sysfs.folder.write("sys/\(path)/\(file)", text + "\n") }
        sysfs.folder.link("sys/\(name)/\(path.split(separator: "/").last ?? "")", to: "../../" + path)
    }

    /// A kernel that answers each question with these messages, and ends each answer.
    @LoopActor private func uses(
        of devices: DeviceAddress..., told: [Told] = [], reading: RoutingReading? = nil
    ) async -> [DeviceUse] {
        let host = LinuxHost(root: sysfs.root, writable: true)
        host.routing = { bytes in
            if let reading { return reading }
            var answer: [UInt8] = []
            for question in NetlinkMessage.all(in: bytes) {
                for told in told { answer += told.answers(question).flatMap(\.bytes) }
                answer += NetlinkMessage(type: 3, flags: 2, sequence: question.sequence, body: [0, 0, 0, 0]).bytes
            }
            return .bytes(answer)
        }
        return await host.uses(of: devices)
    }

    private func idle(_ device: DeviceAddress, _ interface: String) -> DeviceUse {
        DeviceUse(device, .linkUp(interface: interface))
    }

    private func use(_ kind: DeviceUse.Kind) -> DeviceUse { DeviceUse(nic, kind) }

    @Test("a card that is up with no more than a link-local address warns, and one that is down does not even that")
    @LoopActor func idle() async {
        let told: [Told] = [
            .address("fe80::1", 64, on: 12, scope: 253), .address("169.254.3.4", 16, on: 10),
            .route("fe80::", 64, over: 12, origin: 2), .route("ff00::", 8, over: 12, origin: 2, kind: 5),
        ]
        let found = await uses(of: nic, twin, disk, told: told)
        #expect(found == [idle(nic, "eth0"), idle(twin, "eth1")])
        #expect(found.allSatisfy { !$0.stopsClaim })
        sysfs.folder.write(sysfs.path(of: "0000:02:00.0") + "/net/eth0/flags", "0x1002\n")
        let more = told + [.address("192.0.2.1", 24, on: 10)]
        #expect(await uses(of: nic, twin, told: more) == [idle(twin, "eth1")])
    }

    @Test("an address, and the kernel's route that comes with it is not told beside")
    @LoopActor func address() async {
        let told: [Told] = [
            .address("192.0.2.1", 24, on: 10), .address("2001:db8::1", 64, on: 10),
            .route("192.0.2.0", 24, over: 10, origin: 2),
        ]
        #expect(
            await uses(of: nic, twin, told: told) == [
                use(.address("192.0.2.1/24", interface: "eth0")), use(.address("2001:db8::1/64", interface: "eth0")),
                idle(twin, "eth1"),
            ])
    }

    @Test("routes: the default one first, not more than some, and with the table")
    @LoopActor func routes() async {
        let told: [Told] =
            (0..<9).map { .route("10.0.\($0).0", 24, over: 10) } + [
                .route(nil, 0, over: 10), .route(nil, 0, over: 10, table: 100),
            ]
        let found = await uses(of: nic, twin, told: told)
        #expect(
            found == [
                use(.route(to: "default", interface: "eth0")),
                use(.route(to: "default of table 100", interface: "eth0")),
                use(.route(to: "10.0.0.0/24", interface: "eth0")), use(.route(to: "10.0.1.0/24", interface: "eth0")),
                idle(twin, "eth1"),
            ])
        // A route of the kernel's own to more than the link, without an address.
        #expect(
            await uses(of: nic, told: [.route("192.0.2.0", 24, over: 10, origin: 2)])
                == [use(.route(to: "192.0.2.0/24", interface: "eth0"))])
    }

    @Test("a port of a bond, with a VLAN on the bond that the default route leads through")
    @LoopActor func bond() async {
        sysfs.folder.link(sysfs.path(of: "0000:02:00.0") + "/net/eth0/master", to: "../../../x/bond0")
        interface("bond0", below: "devices/virtual", index: 20, lower: "eth0")
        interface("bond0.5", below: "devices/virtual", index: 21, lower: "bond0")
        interface("br0", below: "devices/virtual", index: 22)
        let told: [Told] = [.route(nil, 0, over: 21), .address("192.0.2.1", 24, on: 22)]
        #expect(
            await uses(of: nic, twin, told: told) == [
                use(.port(interface: "eth0", of: "bond0")), use(.route(to: "default", interface: "bond0.5")),
                idle(twin, "eth1"),
            ])
    }

    @Test("ports of a bridge, a VRF and Open vSwitch, up or not", arguments: ["br0", "vrf1", "ovs-system"])
    @LoopActor func ports(master: String) async {
        let path = sysfs.path(of: "0000:02:00.0") + "/net/eth0/"
        sysfs.folder.link(path + "master", to: "../../../x/" + master)
        sysfs.folder.write(path + "flags", "0x1002\n")
        // As the kernel has it, the master is among what stands on it.
        sysfs.folder.link(path + "upper_" + master, to: "../../../x/" + master)
        #expect(await uses(of: nic, twin) == [use(.port(interface: "eth0", of: master)), idle(twin, "eth1")])
    }

    @Test("a VLAN, a macvlan and a software RDMA device")
    @LoopActor func uppers() async {
        interface("eth0.7", below: "devices/virtual", index: 30, lower: "eth0")
        sysfs.folder.link(sysfs.path(of: "0000:02:00.0") + "/net/eth0/upper_mac0", to: "../x/mac0")
        device("devices/virtual/infiniband/rxe0", class: "class/infiniband", ["ports/1/gid_attrs/ndevs/0": "eth0"])
        #expect(
            await uses(of: nic, twin) == [
                use(.upper(interface: "eth0", upper: "eth0.7")), use(.upper(interface: "eth0", upper: "mac0")),
                use(.upper(interface: "eth0", upper: "rxe0")), idle(twin, "eth1"),
            ])
    }

    @Test("an interface in another network namespace leaves an empty folder; a card without a driver has none")
    @LoopActor func otherNetwork() async {
        sysfs.folder.remove("sys/class/net/eth0")
        sysfs.folder.remove(sysfs.path(of: "0000:02:00.0") + "/net/eth0")
        sysfs.folder.remove("sys/class/net/eth1")
        sysfs.folder.remove(sysfs.path(of: "0000:02:00.1") + "/net")
        #expect(await uses(of: nic, twin, reading: .late) == [use(.otherNetwork)])
        // Of a function behind it nothing is said.
        sysfs.folder.makeFolder(sysfs.path(of: "0000:02:00.1") + "/0000:09:00.0/net")
        sysfs.folder.makeFolder(sysfs.path(of: "0000:02:00.1") + "/virtio3/net")
        #expect(await uses(of: twin) == [DeviceUse(twin, .otherNetwork)])
    }

    @Test("a representor lies at its physical function, and a virtual function is free of what goes through that")
    @LoopActor func representor() async {
        interface("pf0vf0", below: folder("0000:02:00.0"), index: 11, master: "ovs-system")
        #expect(
            await uses(of: nic, twin, told: [.address("192.0.2.1", 24, on: 10)]) == [
                use(.address("192.0.2.1/24", interface: "eth0")), use(.port(interface: "pf0vf0", of: "ovs-system")),
                idle(twin, "eth1"),
            ])
    }

    @Test("network file systems, NVMe over Fabrics and iSCSI are named with the interface that they come over")
    @LoopActor func storage() async {
        sysfs.folder.write(
            "proc/1/mountinfo",
            "30 1 0:50 / /srv rw - nfs4 store:/x rw,vers=4.2,addr=192.0.2.5\n"
                + "31 1 0:51 / /far rw - cifs //far/x rw,addr=198.51.100.9\n"
                + "32 1 0:52 / /ceph rw - ceph 192.0.2.6:6789,[2001:db8::6]:3300:/ rw\n")
        device(
            "devices/virtual/nvme-fabrics/ctl/nvme3", class: "class/nvme",
            ["transport": "tcp", "address": "traddr=192.0.2.7,trsvcid=4420,src_addr=192.0.2.1"])
        let session = "devices/platform/host5/session1/"
        device(
            session + "connection1:0/iscsi_connection/connection1:0", class: "class/iscsi_connection",
            [
                "persistent_address": "192.0.2.8"
            ])
        device(session + "iscsi_session/session1", class: "class/iscsi_session", ["targetname": "iqn.2026-01.x:t"])
        let told: [Told] =
            ["192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.8"].map { .way(to: $0, over: 10) }
            + [.way(to: "198.51.100.9", over: 77), .address("192.0.2.1", 24, on: 10)]
        let found = await uses(of: nic, twin, told: told)
        #expect(
            found == [
                use(.remoteStorage("/ceph (ceph)", interface: "eth0")),
                use(.remoteStorage("/srv (nfs4 from 192.0.2.5)", interface: "eth0")),
                use(.remoteStorage("nvme3 (NVMe over Fabrics, tcp, from 192.0.2.7)", interface: "eth0")),
                use(.remoteStorage("session1 (iSCSI iqn.2026-01.x:t at 192.0.2.8)", interface: "eth0")),
                use(.address("192.0.2.1/24", interface: "eth0")), idle(twin, "eth1"),
            ])
        #expect(found[1].reason == "/srv (nfs4 from 192.0.2.5) comes over its eth0")
    }

    @Test("IP over InfiniBand that is up refuses, and one that is down does not")
    @LoopActor func ipOverInfiniBand() async {
        interface("ib0", below: folder("0000:02:00.0"), index: 14, flags: "0x1003", type: "32")
        interface("ib1", below: folder("0000:02:00.1"), index: 15, flags: "0x1002", type: "32")
        #expect(
            await uses(of: nic, twin) == [
                idle(nic, "eth0"), use(.ipOverInfiniBand(interface: "ib0")), idle(twin, "eth1"),
            ])
    }

    @Test("RDMA and vhost-vdpa count when somebody has their nodes open")
    @LoopActor func nodes() async {
        let (own, other) = (sysfs.path(of: "0000:02:00.0"), sysfs.path(of: "0000:02:00.1"))
        sysfs.folder.write(own + "/infiniband_verbs/uverbs0/dev", "1:5\n")
        sysfs.folder.write(other + "/infiniband_verbs/uverbs1/dev", "1:9\n")
        sysfs.folder.write("proc/4200021/stat", "4200021 (x) S 1" + String(repeating: " 0", count: 17) + " 9 0\n")
        sysfs.folder.write("proc/4200021/comm", "ib_write_bw\n")
        sysfs.folder.link("proc/4200021/fd/5", to: "/dev/zero")
        device(folder("0000:02:00.1") + "/vdpa0", class: "bus/vdpa/devices")
        sysfs.folder.remove("sys/bus/vdpa/devices/vdpa0")
        sysfs.folder.link("sys/bus/vdpa/devices/vdpa0", to: "../../../" + folder("0000:02:00.1") + "/vdpa0")
        sysfs.folder.link(other + "/vdpa0/driver", to: "../x/vhost_vdpa")
        let found = await uses(of: nic, twin)
        #expect(
            found == [
                idle(nic, "eth0"), use(.open(pid: 4_200_021, command: "ib_write_bw")), idle(twin, "eth1"),
                DeviceUse(twin, .vDPA("vdpa0", driver: "vhost_vdpa")),
            ])
        #expect(found.filter(\.stopsClaim).map(\.device) == [nic])
    }

    @Test("iSCSI in hardware refuses, targets on Fibre Channel warn, and a port without any is free")
    @LoopActor func fabrics() async {
        let (own, other) = (folder("0000:02:00.0"), folder("0000:02:00.1"))
        sysfs.folder.remove("sys/class/net")
        for path in [own, other] { sysfs.folder.remove("sys/\(path)/net") }
        device(own + "/host7/fc_host/host7", class: "class/fc_host", ["port_name": "0x10000090fac7c706"])
        device(other + "/host8/fc_host/host8", class: "class/fc_host", ["port_name": "0x10000090fac7c707"])
        for (path, state, roles) in [
            (own + "/host7/rport-7:0-0", "Online", "FCP Target"),
            (other + "/host8/rport-8:0-0", "Not Present", "FCP Target"),
            (other + "/host8/rport-8:0-1", "Online", "Fabric Port"),
        ] {
            let name = path.split(separator: "/").last ?? ""
            device(
                path + "/fc_remote_ports/\(name)", class: "class/fc_remote_ports",
                ["port_state": state, "roles": roles])
        }
        let found = await uses(of: nic, twin)
        #expect(found == [use(.fibreChannel(port: "host7", targets: 1))])
        #expect(!found.contains { $0.stopsClaim })
        device(
            "devices/virtual/nvme-fabrics/ctl/nvme4", class: "class/nvme",
            [
                "transport": "fc",
                "address": "traddr=nn-0x2:pn-0x3,host_traddr=nn-0x20000090fac7c706:pn-0x10000090fac7c706",
            ])
        device(other + "/host8/session2/iscsi_session/session2", class: "class/iscsi_session", ["targetname": "iqn.x"])
        #expect(
            await uses(of: nic, twin) == [
                use(.remoteStorage("nvme4 (NVMe over Fabrics, fc, from nn-0x2:pn-0x3)", interface: "host7")),
                use(.fibreChannel(port: "host7", targets: 1)),
                DeviceUse(twin, .iSCSISession("session2", target: "iqn.x")),
            ])
    }

    @Test("a kernel that does not answer leaves network cards unknown, and nothing else")
    @LoopActor func unanswered() async {
        for reading in [RoutingReading.late, .failed(errno: EPERM)] {
            let found = await uses(of: nic, disk, reading: reading)
            #expect(found.map(\.device) == [nic])
            #expect(found.map(\.rule.severity) == [.unknown])
        }
        // An answer that breaks off.
        #expect(await uses(of: nic, disk, reading: .bytes([])).map(\.rule.severity) == [.unknown])
        // A daemon in a container of its own network knows nothing of the host's.
        sysfs.folder.remove("proc/self/ns/net")
        sysfs.folder.link("proc/self/ns/net", to: "net:[2]")
        #expect(await uses(of: nic, disk).map(\.rule.severity) == [.unknown])
    }
}

/// Something that the kernel tells when it is asked about it.
enum Told {
    case address(String, UInt8, on: UInt32, scope: UInt8 = 0)
    case route(String?, UInt8, over: UInt32, table: UInt32 = 254, origin: UInt8 = 3, kind: UInt8 = 1)
    case way(to: String, over: UInt32)

    func answers(_ question: NetlinkMessage) -> [NetlinkMessage] {
        let isIPv6 = question.body.first == UInt8(AF_INET6)
        switch self {
        case .address(let text, let length, let interface, let scope):
            guard question.type == RoutingMessage.getAddress, let address = InternetAddress(text),
                address.isIPv6 == isIPv6, question.body[...].number(at: 4, UInt32.self) == interface
            else { return [] }
            var body: [UInt8] = [question.body[0], length, 0, scope]
            body.add(interface)
            body.add(attribute: RoutingMessage.address, address.bytes)
            return [NetlinkMessage(type: RoutingMessage.newAddress, flags: 2, sequence: question.sequence, body: body)]
        case .route(let text, let length, let interface, let table, let origin, let kind):
            let asked = question.attributes(after: 12)[RoutingMessage.outputInterface]
            let address = text.flatMap { InternetAddress($0) }
            guard question.type == RoutingMessage.getRoute, (address?.isIPv6 ?? false) == isIPv6,
                asked?[...].number(at: 0, UInt32.self) == interface
            else { return [] }
            var body: [UInt8] = [question.body[0], length, 0, 0, UInt8(clamping: table), origin, 0, kind, 0, 0, 0, 0]
            if let address { body.add(attribute: RoutingMessage.destination, address.bytes) }
            var number: [UInt8] = []
            number.add(table)
            body.add(attribute: RoutingMessage.table, number)
            return [NetlinkMessage(type: RoutingMessage.newRoute, flags: 2, sequence: question.sequence, body: body)]
        case .way(let text, let interface):
            guard question.type == RoutingMessage.getRoute, let address = InternetAddress(text),
                question.attributes(after: 12)[RoutingMessage.destination] == address.bytes
            else { return [] }
            var body = question.body
            var number: [UInt8] = []
            number.add(interface)
            body.add(attribute: RoutingMessage.outputInterface, number)
            return [NetlinkMessage(type: RoutingMessage.newRoute, sequence: question.sequence, body: body)]
        }
    }
}
