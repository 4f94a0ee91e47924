// TakeSnapshot of a machine whose devices have serial numbers and MAC addresses: what is in it, and what is not.

import Config
import EventLoop
import GroupAPI
import Grouping
import Host
import HostSnapshot
import Inventory
import JSON
import Keeper
import LinuxHost
import PCI
import SimulatedHost
import Testing
import TestSupport
import Varlink

@testable import Service

@Suite("Taking a snapshot", .timeLimit(.minutes(15)))
struct SnapshotInterfaceTests {
    init() throws { try EventLoop.main.runInBackground() }

    private static let card = "0000:01:00.0"
    /// What names this one machine, as it stands in the files of its sysfs.
    private static let secrets = [
        "52:54:00:ab:cd:ef", "S3CR3T-VPD-77", "NVME-SERIAL-1234", "DMI-SERIAL-5678", "root=UUID",
    ]
    private static let serial = "52-54-00-ff-fe-ab-cd-ef"

    /// A network card with a serial number made of its MAC address, as many have, and files beside it that tell more.
    private func machine() -> SyntheticSysfs {
        let sysfs = SyntheticSysfs()
        var port = ConfigBuilder(headerType: 1)
        (port.bytes[0x18], port.bytes[0x19], port.bytes[0x1a]) = (0, 1, 1)
        port.capabilityList(at: 0x40)
        port.express(at: 0x40, type: 4)
        port.acs(at: 0x100, capability: 0x1d, control: 0x1d)
        sysfs.add("0000:00:01.0", below: "pci0000:00", classCode: 0x060400, config: port.bytes, kernelGroup: 1)
        var card = ConfigBuilder()
        card.capabilityList(at: 0x40)
        card.express(at: 0x40, type: 0)
        card.extended(0x03, at: 0x140)
        card.acs(at: 0x100, capability: 0, control: 0, next: 0x140)
        card.doubleWord(0x144, 0xfeab_cdef)
        card.doubleWord(0x148, 0x5254_00ff)
        sysfs.add(Self.card, below: "0000:00:01.0", config: card.bytes, driver: "igb", kernelGroup: 2)
        let folder = sysfs.path(of: Self.card)
        sysfs.folder.write(folder + "/net/eth0/address", "52:54:00:ab:cd:ef\n")
        sysfs.folder.write(folder + "/vpd", "\u{82}S3CR3T-VPD-77")
        sysfs.folder.write(folder + "/nvme/nvme0/serial", "NVME-SERIAL-1234\n")
        sysfs.folder.write("sys/class/dmi/id/product_serial", "DMI-SERIAL-5678\n")
        sysfs.folder.write("proc/cmdline", "root=UUID=8d6c intel_iommu=on ro\n")
        return sysfs
    }

    /// What a daemon on a host replies to TakeSnapshot.
    @LoopActor private func snapshot(
        of host: any Host, serialNumbers: Bool?, administrators: Set<UInt32>? = nil
    ) async throws -> Manager.Snapshot {
        let server = VarlinkServer(.init(vendor: "v", product: "p", version: "1", url: "u"))
        let service = GroupService(
            .init(version: "test", isSimulated: true), of: try await Keeper(testing: host), Configuration(), on: server)
        if let administrators { service.administrators = administrators }
        let folder = TemporaryFolder()
        try server.listen(path: folder.path + "/socket")
        let client = try await VarlinkClient.connect(to: folder.path + "/socket")
        let reply = try await client.call(Manager.TakeSnapshot.self, .init(serialNumbers: serialNumbers))
        await server.stop(within: .milliseconds(100))
        return reply.snapshot
    }

    private func bytes(of snapshot: Manager.Snapshot) -> [UInt8] {
        var writer = JSONWriter()
        snapshot.write(to: &writer)
        return writer.bytes
    }

    private func number(in snapshot: Manager.Snapshot) -> String? {
        snapshot.devices.first { $0.address.name == Self.card }?.function?.serialNumber
    }

    @Test("nothing in it names the machine, unless its serial numbers are asked for", arguments: [nil, false])
    @LoopActor func stripped(serialNumbers: Bool?) async throws {
        let sysfs = machine()
        let taken = try await snapshot(of: LinuxHost(root: sysfs.root), serialNumbers: serialNumbers)
        #expect(number(in: taken) == nil)
        let text = String(decoding: bytes(of: taken), as: UTF8.self)
        // In whatever form: as sysfs prints them, as lspci does, in hexadecimal, in decimal, and in pieces.
        let pieces = [
            Self.serial, "525400ab", "5254:00", "abcdef", "fffeab", "fe-ab", "\(0xfeab_cdef)", "\(0x5254_00ff)",
            "\(UInt64(0x5254_00ff_feab_cdef))", "\(0xcdef)", "\(0xfeab)", "eth0",
        ]
        for secret in Self.secrets + pieces {
            #expect(!text.lowercased().contains(secret.lowercased()), "\(secret)")
        }
        #expect(text.contains("intel_iommu=on"))
    }

    @Test("serial numbers are for administrators, all the rest for everybody")
    @LoopActor func access() async throws {
        let sysfs = machine()
        defer { withExtendedLifetime(sysfs) {} }
        let host = LinuxHost(root: sysfs.root)
        _ = try await snapshot(of: host, serialNumbers: false, administrators: [])
        do {
            _ = try await snapshot(of: host, serialNumbers: true, administrators: [])
            Issue.record("anybody gets serial numbers")
        } catch let error as ClientError {
            guard case .accessDenied(let reason)? = error.failure(as: Manager.Failure.self) else { throw error }
            #expect(reason.contains("only root may"))
        }
    }

    @Test("serial numbers that were asked for are those of the devices, and go on through a replay")
    @LoopActor func included() async throws {
        let sysfs = machine()
        let taken = try await snapshot(of: LinuxHost(root: sysfs.root), serialNumbers: true)
        #expect(number(in: taken) == Self.serial)
        #expect(taken.devices.filter { $0.function?.serialNumber != nil }.count == 1)
        let text = String(decoding: bytes(of: taken), as: UTF8.self)
        for secret in Self.secrets { #expect(!text.contains(secret), "\(secret)") }
        let replayed = try SimulatedHost(name: "a replay", snapshot: bytes(of: taken))
        #expect(try await snapshot(of: replayed, serialNumbers: true) == taken)
        #expect(number(in: try await snapshot(of: replayed, serialNumbers: nil)) == nil)
    }
}
