// Configuration, reload, reservations and access of the running daemon, as administrators and users meet them.

import Foundation
import Testing
import TestSupport

@Suite("The configured daemon", .timeLimit(.minutes(15)))
struct ReloadTests {
    private static let gaming = "[Reservation gaming]\nDevice=01:00.0\nVendorId=10de\nDeviceId=2684\n"

    @Test("a good reload counts at once, a bad one changes nothing, and neither drops a claim")
    func reload() async throws {
        let folder = TemporaryFolder()
        let file = folder.path + "/x.conf"
        folder.write("x.conf", Self.gaming)
        let notify = try NotifySocket()
        let daemon = try await RunningDaemon(
            arguments: ["--config", file], environment: ["NOTIFY_SOCKET": notify.path])
        #expect(await eventually(within: 60) { daemon.program.complained.contains("reservation gaming has its group") })
        var status = try await daemon.control("status")
        #expect(status.output.contains("gaming       0000:01:00.0  claimed"))
        #expect(status.output.contains("the host driver nouveau had 0000:01:00.0 first"))

        folder.write("x.conf", Self.gaming + "[Limits]\nClaims=many\n[Nonsense]\n")
        let bad = try await daemon.control("reload")
        #expect(bad.code == 1)
        #expect(bad.errors.contains("\(file):6: Claims='many' is no number that can be; write one from 1 to 1048576"))
        #expect(bad.errors.contains("\(file):7: unknown section 'Nonsense'"))
        #expect(daemon.program.complained.contains("\(file):6: Claims='many'"))

        folder.write("x.conf", Self.gaming + "[Limits]\nClaims=1\n[Daemon]\nBackend=host_bridge\n")
        let good = try await daemon.control("reload")
        #expect(good.code == 0, "\(good.errors)")
        #expect(
            good.output
                == "the configuration is reloaded: \(file)\nnote: Backend= takes effect at the next start\n")
        let second = try await daemon.control("claim", "05:00.0")
        #expect(second.code == 1)
        #expect(second.errors.contains("there can be 1 claims"))
        status = try await daemon.control("status")
        #expect(status.output.contains("gaming       0000:01:00.0  claimed"))
        #expect(status.output.contains("pci0000:00   kernel"))

        folder.write("x.conf", Self.gaming)
        daemon.program.signal(SIGHUP)
        #expect(
            await eventually(within: 60) {
                daemon.program.complained.components(separatedBy: "the configuration is reloaded").count == 3
            })
        #expect(try await daemon.control("claim", "05:00.0", "--name", "vm").code == 0)
        #expect(
            await eventually(within: 60) {
                notify.received.contains("23 groups (23 isolated) of 32 devices, 2 claimed")
            })
        let told = notify.received
        #expect(told.components(separatedBy: "RELOADING=1\nMONOTONIC_USEC=").count == 4)
        #expect(told.components(separatedBy: "READY=1").count == 5)
        try await daemon.stop()
    }

    @Test("a released reservation is left alone by a reload, and taken by one that wishes it")
    func reserveAgain() async throws {
        let folder = TemporaryFolder()
        folder.write("x.conf", Self.gaming)
        let daemon = try await RunningDaemon(arguments: ["--config", folder.path + "/x.conf"])
        #expect(await eventually(within: 60) { daemon.program.complained.contains("reservation gaming has its group") })
        #expect(try await daemon.control("release", "gaming").code == 0)
        #expect(try await daemon.control("reload").code == 0)
        #expect(try await daemon.control("status").output.contains("gaming       0000:01:00.0  released"))
        #expect(try await daemon.control("reload", "--reserve-again").code == 0)
        let deadline = Date() + 60
        var output = ""
        while !output.contains("gaming       0000:01:00.0  claimed"), Date() < deadline {
            output = try await daemon.control("status").output
        }
        #expect(output.contains("gaming       0000:01:00.0  claimed"))
        try await daemon.stop()
    }

    @Test("a simulation without a configuration has nothing to reload, and says so")
    func nothingToReload() async throws {
        let daemon = try await RunningDaemon(isConfigured: false)
        let outcome = try await daemon.control("reload")
        #expect(outcome.code == 0)
        #expect(outcome.output.contains("reads no configuration"))
        try await daemon.stop()
    }

    @Test("host bridges have the backends that the configuration gives them")
    func hostBridges() async throws {
        let folder = TemporaryFolder()
        folder.write(
            "x.conf", "[HostBridge pci0000:80]\nBackend=host_bridge\n[HostBridge pci0077:00]\nBackend=kernel\n")
        let daemon = try await RunningDaemon(arguments: ["--config", folder.path + "/x.conf"])
        let status = try await daemon.control("status")
        #expect(status.output.contains("pci0000:80   host_bridge  forced by the administrator"))
        #expect(status.output.contains("pci0000:00   kernel       the kernel has IOMMU groups for PCI devices"))
        #expect(daemon.program.complained.contains("[HostBridge pci0077:00]: this host has no such host bridge"))
        try await daemon.stop()
    }

    @Test("another user claims when it is granted, and is told what would grant it when it is not")
    func otherUsers() async throws {
        let tool = "/usr/bin/setpriv"
        guard getuid() == 0, FileManager.default.isExecutableFile(atPath: tool) else {
            print("SKIPPED: other users as clients, which takes root and \(tool) (package util-linux)")
            return
        }
        let folder = TemporaryFolder()
        folder.write("x.conf", "[Access]\nClaimGroups=4243\n")
        let daemon = try await RunningDaemon(arguments: ["--config", folder.path + "/x.conf"])
        chmod(daemon.folder.path, 0o755)
        // The programs of a build may lie where others cannot go.
        let program = daemon.folder.path + "/vfiogroupctl"
        try FileManager.default.copyItem(atPath: Program.folder + "/vfiogroupctl", toPath: program)
        func claim(_ groups: String, _ words: String...) async throws -> Program.Outcome {
            try await Program.run(
                tool,
                ["--reuid", "4242", "--regid", "4242", "--groups", groups, program, "--socket", daemon.socket] + words)
        }
        let denied = try await claim("4244", "claim", "05:00.0")
        #expect(denied.code == 1)
        #expect(denied.errors.contains("uid 4242 (groups 4242, 4244; "), "\(denied.errors)")
        #expect(denied.errors.contains("ClaimUsers=4242") && denied.errors.contains("ClaimGroups=4242"))
        let granted = try await claim("4244,4243", "claim", "05:00.0", "--name", "vm")
        #expect(granted.code == 0, "\(granted.errors)")
        let forced = try await claim("4243", "claim", "02:00.0", "--force", "02:00.0")
        #expect(forced.errors.contains("uid 4242 may not take what the host itself uses"))
        #expect(try await claim("4244", "reload").errors.contains("uid 4242 may not reload"))
        #expect(try await claim("4244", "release", "vm").code == 0, "its owner may always give it back")
        let log = daemon.program.complained
        #expect(log.contains("granted a claim of 0000:05:00.0 to uid 4242, process "))
        #expect(log.contains("refused a claim of 0000:05:00.0 to uid 4242, process "))
        try await daemon.stop()
    }
}
