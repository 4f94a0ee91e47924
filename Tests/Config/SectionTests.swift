// Every section's keys: what they take, what they refuse, and that the file for administrators has them all.

import Foundation
import PCI
import Testing

@testable import Config

@Suite("Sections")
struct SectionTests {
    private func configuration(_ text: String) throws -> Configuration {
        try Configuration(reading: [ConfigurationText(file: "f", bytes: Array(text.utf8))])
    }

    private func mistakes(_ text: String) -> [String] {
        do {
            _ = try configuration(text)
            return []
        } catch { return (error as? ConfigurationError)?.mistakes.map(\.description) ?? ["\(error)"] }
    }

    @Test("a host bridge has a backend of its own, and gives it back")
    func hostBridges() throws {
        let text =
            "[Daemon]\nBackend=kernel\n[HostBridge pci0000:80]\nBackend=host_bridge\n[HostBridge pci0001:00]\nBackend=auto\n"
        let bridges = try configuration(text).hostBridges
        #expect(bridges == [HostBridgeID(domain: 0, bus: 0x80): .hostBridge, HostBridgeID(domain: 1, bus: 0): .auto])
        #expect(try configuration(text + "[HostBridge pci0000:80]\nBackend=").hostBridges.count == 1)
        #expect(
            mistakes(
                "[HostBridge]\nBackend=kernel\n[HostBridge 0000:80]\n[Daemon x]\n[HostBridge pci0000:00]\nBackend=pe")
                == [
                    "f:1: [HostBridge] needs a name; write [HostBridge pciDDDD:BB]",
                    "f:3: '0000:80' is no host bridge; write it as vfiogroupctl status shows it, such as pci0000:00",
                    "f:4: [Daemon] takes no name; write it alone",
                    "f:6: Backend='pe' is no backend; write one of: auto, kernel, host_bridge, partitionable_endpoint, predicted",
                ])
    }

    @Test(
        "spans of time are read as systemd reads them",
        arguments: [
            ("5", Duration.seconds(5)), ("500ms", .milliseconds(500)), ("1min 30s", .seconds(90)),
            ("1h", .seconds(3600)),
            ("2 sec", .seconds(2)), ("1m2s3ms", .milliseconds(62_003)), ("10000us", .milliseconds(10)),
        ])
    func spans(_ text: String, _ span: Duration) throws {
        #expect(try configuration("[Timing]\nBlockedAfterSec=\(text)").timing.blockedAfter == span)
    }

    @Test(
        "what is no span of time, or none that makes sense, is refused",
        arguments: [
            "x", "5 x", "-1", "1.5s", "s", "0", "9ms", "2d", "99999999999999999999", "9223372036854775807h", "1s ms",
        ])
    func badSpans(_ text: String) { #expect(mistakes("[Timing]\nNodeTimeoutSec=\(text)").count == 1) }

    @Test("pauses between tries only grow")
    func retries() {
        #expect(
            mistakes("[Timing]\nFirstRetrySec=2min\n") == [
                "f:2: LastRetrySec= is shorter than FirstRetrySec=; the pause between tries only grows"
            ])
        #expect(mistakes("[Timing]\nFirstRetrySec=2min\nLastRetrySec=3min").isEmpty)
    }

    @Test("limits are numbers within reason, and leave room beside root's reserve")
    func limits() throws {
        let limits = try configuration("[Limits]\nConnections=65\nConnectionsPerUser=2\nClaims=3\nClaimsPerUser=4")
            .limits
        let figures: [Int] = [limits.connections, limits.connectionsPerUser, limits.claims, limits.claimsPerUser]
        #expect(figures == [65, 2, 3, 4])
        for text in [
            "Connections=64", "Claims=0", "Claims=-1", "Claims=+1", "Claims=1k", "ClaimsPerUser=99999999999999999999",
        ] {
            #expect(mistakes("[Limits]\n\(text)").count == 1, "\(text)")
        }
    }

    @Test("access lists add up, and an empty assignment starts anew")
    func access() throws {
        let access = try configuration(
            "[Access]\nClaimUsers=1000 1001\nClaimUsers=1002\nClaimGroups=1\nClaimGroups=\nClaimGroups=2\t3\n"
                + "ClaimUnits=libvirtd.service vm@.service machine.slice\nReadUsers=5"
        ).access
        #expect(access.claim.users == [1000, 1001, 1002])
        #expect(access.claim.groups == [2, 3])
        #expect(access.claim.units == ["libvirtd.service", "vm@.service", "machine.slice"])
        #expect(access.read.users == [5])
        #expect(AccessPolicy().read.isEmpty && AccessPolicy().claim.isEmpty)
    }

    @Test(
        "who is nobody is refused, and nothing of the line is taken",
        arguments: [
            "ClaimUsers=nobody-here", "ClaimUsers=4294967295", "ClaimUsers=-1", "ClaimUsers=+1",
            "ClaimUsers=1 4294967296",
            "ClaimUnits=libvirtd", "ClaimUnits=a/b.service", "ClaimUnits=.service", "ClaimUnits=@x.service",
            "ClaimUnits=vfio.socket", "ClaimUnits=*.service",
        ])
    func nobody(_ line: String) { #expect(mistakes("[Access]\n\(line)").count == 1) }

    @Test("users and groups have the names of the machine's own files")
    func accounts() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/vfiogroupd-accounts-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder + "/etc/vfiogroupd", withIntermediateDirectories: true)
        try "root:x:0:0::/root:/bin/sh\nbroken\nqemu:x:107:108::/:/bin/false\nqemu:x:1:1::/:/\n"
            .write(toFile: folder + "/etc/passwd", atomically: true, encoding: .utf8)
        try "kvm:x:106:qemu\n".write(toFile: folder + "/etc/group", atomically: true, encoding: .utf8)
        let file = folder + "/etc/vfiogroupd/vfiogroupd.conf"
        try "[Access]\nClaimUsers=qemu\nClaimGroups=kvm\n".write(toFile: file, atomically: true, encoding: .utf8)
        let access = try ConfigurationFiles(root: folder).load().configuration.access
        #expect(access.claim.users == [107])
        #expect(access.claim.groups == [106])
        try "[Access]\nClaimUsers=kvm\n".write(toFile: file, atomically: true, encoding: .utf8)
        do {
            _ = try ConfigurationFiles(root: folder).load()
            Issue.record("a group passed for a user")
        } catch {
            #expect(
                error.mistakes.first?.message
                    == "ClaimUsers='kvm' is no user in /etc/passwd; write the number of one that comes from elsewhere")
        }
    }

    @Test("reservations are printed as one line each, in the order of their first headers")
    func reservations() throws {
        let text = """
            [Reservation gaming]
            Device=01:00.0
            VendorId=0x10DE
            DeviceId=2684
            [Reservation net]
            Group=pci0000-00_06.0_00.0
            [Reservation disk]
            Device=10000:e1:00.0
            [Reservation net]
            VendorId=8086
            DeviceId=1592
            """
        #expect(
            try configuration(text).reservations.map(\.line) == [
                "gaming\tdevice\t0000:01:00.0\t0x10de:0x2684", "net\tgroup\tpci0000-00_06.0_00.0\t0x8086:0x1592",
                "disk\tdevice\t10000:e1:00.0\t-",
            ])
    }

    @Test("a reservation that names nothing, or what is none, is refused where it stands")
    func badReservations() {
        let text = """
            [Reservation a b]
            [Reservation empty]
            VendorId=8086
            [Reservation both]
            Group=x
            Device=0000:01:00.0
            [Reservation half]
            Group=y
            DeviceId=1592
            [Reservation wrong]
            Device=0000:01:20.0
            Group=a/b
            VendorId=0x80861
            Colour=red
            [Reservation twin]
            Group=z
            [Reservation other]
            Group=z
            """
        #expect(
            mistakes(text) == [
                "f:1: 'a b' is no name for a reservation; use at most 64 of A-Z, a-z, 0-9, '.', '_' and '-'",
                "f:11: Device='0000:01:20.0' is no PCI address; write it as lspci -D shows it, such as 0000:01:00.0",
                "f:12: Group='a/b' is no group's identity; write it as vfiogroupctl list shows it",
                "f:13: VendorId='0x80861' is no ID; write four hexadecimal digits, such as 0x10de",
                "f:14: unknown key 'Colour=' in [Reservation NAME]; known: Group=, Device=, VendorId=, DeviceId=, Force=",
                "f:2: [Reservation empty] names nothing; write Group=IDENTITY or Device=ADDRESS below it",
                "f:4: [Reservation both] has both Group= and Device=; remove one",
                "f:7: [Reservation half] has one of VendorId= and DeviceId=; write both or none",
                "f:10: [Reservation wrong] names nothing; write Group=IDENTITY or Device=ADDRESS below it",
                "f:17: [Reservation other] keeps what [Reservation twin] keeps; remove one",
            ])
    }

    @Test("config/vfiogroupd.conf has every section and every key, with its default")
    func documentation() throws {
        let path =
            URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path + "/config/vfiogroupd.conf"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        // As it stands it changes nothing; with its examples on, it still has the defaults.
        #expect(try configuration(text) == Configuration())
        var sections: [String: Set<String>] = [:]
        var section = ""
        var lines: [String] = []
        for line in text.split(separator: "\n").map(String.init) {
            let content = line.hasPrefix("#") ? String(line.dropFirst()) : line
            if content.hasPrefix("[") {
                section = String(content.dropFirst().prefix { $0 != " " && $0 != "]" })
            } else if let equals = content.firstIndex(of: "="), !content.hasPrefix(" "),
                !content[..<equals].contains(" ")
            {
                sections[section, default: []].insert(String(content[..<equals]))
            } else {
                continue
            }
            if section != "Reservation" { lines.append(content) }
        }
        for kind in SectionKind.allCases { #expect(sections[kind.rawValue] == Set(kind.keyNames), "\(kind)") }
        var expected = Configuration()
        expected.socket = Configuration.defaultSocket
        expected.stateDirectory = Configuration.defaultStateDirectory
        expected.hostBridges = [HostBridgeID(domain: 0, bus: 0x80): .auto]
        #expect(try configuration(lines.joined(separator: "\n")) == expected)
    }
}
