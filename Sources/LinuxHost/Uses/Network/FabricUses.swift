// What devices do that are more than network cards: Fibre Channel and iSCSI in hardware, vDPA. Who has an RDMA device or a
// vhost-vdpa node open is found as with any node in the device's folder.

import EventLoop
import Host

/// Storage fabrics and vDPA devices.
struct FabricUses: UseSource {
    /// A port of Fibre Channel (/sys/class/fc_host, drivers/scsi/scsi_transport_fc.c).
    struct Port: Equatable, Sendable {
        var name: String
        var path: [String]
        /// Its World Wide Port Name, "0x10000090fac7c706".
        var portName: String?
    }

    /// A device in a class, with its folder.
    struct Part: Equatable, Sendable {
        var name: String
        var path: [String]
        /// The target of a session, the driver of a vDPA device.
        var detail: String?
    }

    var ports: [Port] = []
    /// Remote ports that are there and are targets (/sys/class/fc_remote_ports).
    var targets: [Part] = []
    /// Controllers of NVMe over Fibre Channel.
    var storage: [RemoteStorage] = []
    /// Sessions of iSCSI (/sys/class/iscsi_session, drivers/scsi/scsi_transport_iscsi.c); those in hardware lie below it.
    var sessions: [Part] = []
    /// vDPA devices (/sys/bus/vdpa, drivers/vdpa/vdpa.c).
    var vdpa: [Part] = []
    /// Why not all is known.
    var unread: String?

    @LoopActor static func read(_ question: UseQuestion) async -> FabricUses {
        let reader = UseReader(below: question.host.root)
        var uses = FabricUses()
        uses.ports = reader.devices("class/fc_host").map {
            Port(name: $0.name, path: $0.path, portName: reader.text("port_name", in: $0.path))
        }
        uses.targets = reader.devices("class/fc_remote_ports").filter { _, path in
            reader.text("port_state", in: path) == "Online"
                && reader.text("roles", in: path)?.split(whereSeparator: { !$0.isLetter }).contains("Target") == true
        }.map { Part(name: $0.name, path: $0.path) }
        if !uses.ports.isEmpty {
            uses.storage = reader.devices("class/nvme").compactMap { name, path in
                guard reader.text("transport", in: path) == "fc", let address = reader.text("address", in: path) else {
                    return nil
                }
                return RemoteStorage(controller: name, transport: "fc", address: address)
            }
        }
        uses.sessions = reader.devices("class/iscsi_session").map {
            Part(name: $0.name, path: $0.path, detail: reader.text("targetname", in: $0.path))
        }
        uses.vdpa = reader.devices("bus/vdpa/devices").map {
            Part(name: $0.name, path: $0.path, detail: reader.linkName("driver", in: $0.path))
        }
        uses.unread = reader.failure
        return uses
    }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        var kinds: [DeviceUse.Kind] = []
        for port in ports where subject.has(port.path) {
            kinds += storage.filter { $0.port != nil && $0.port == port.portName }
                .map { .remoteStorage($0.text, interface: port.name) }
            // Its driver logs in to whatever the switch shows: its disks may still be anybody's. Those that are mounted
            // are found as disks.
            let count = targets.filter { subject.has($0.path) }.count
            if count > 0 { kinds.append(.fibreChannel(port: port.name, targets: count)) }
        }
        // Somebody has logged in by hand, or by a configuration.
        kinds += sessions.filter { subject.has($0.path) }.map { .iSCSISession($0.name, target: $0.detail) }
        kinds += vdpa.filter { subject.has($0.path) }.map { .vDPA($0.name, driver: $0.detail) }
        if let unread { kinds.append(.unknown(reason: unread)) }
        return kinds
    }
}
