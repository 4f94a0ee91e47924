// The daemon and its command line from outside, as users and other programs meet them.

import EventLoop
import Foundation
import GroupAPI
import JSON
import Testing
import TestSupport
import Varlink

@Suite("The daemon", .timeLimit(.minutes(15)))
struct DaemonTests {
    @Test("prints the groups of every capture as one JSON object", .realCaptures, arguments: Capture.all)
    func printGroups(capture: Capture) async throws {
        let outcome = try await Program.run("vfiogroupd", ["--simulate", capture.root, "--print-groups"])
        #expect(outcome.code == 0)
        let reply = try JSONValue(parsing: outcome.output)
        guard case .array(let groups)? = reply["groups"] else {
            Issue.record("no groups in \(outcome.output.prefix(200))")
            return
        }
        #expect(groups.count == (capture.kernelGroups.isEmpty ? capture.hostBridges.count : capture.kernelGroups.count))
        for group in groups {
            for field in [
                "id", "backend", "hostBridges", "kernelGroups", "isolated", "claimable", "members", "complete",
                "blockers", "state",
            ] {
                #expect(group[field] != nil, "\(field)")
            }
        }
    }

    @Test("forced to host bridges, it has one group each")
    func forced() async throws {
        let capture = try #require(Capture.named("q35-intel-rich"))
        let outcome = try await Program.run(
            "vfiogroupd", ["--simulate", capture.root, "--backend", "host_bridge", "--print-groups"])
        guard case .array(let groups)? = try JSONValue(parsing: outcome.output)["groups"] else {
            Issue.record("no groups")
            return
        }
        #expect(groups.compactMap { $0["id"] } == ["pci0000-00", "pci0000-80"])
    }

    @Test("a snapshot that it gave is a machine that it can replay")
    func snapshotFile() async throws {
        try EventLoop.main.runInBackground()
        let daemon = try await RunningDaemon()
        let folder = TemporaryFolder()
        let client = try #require(try? await Self.snapshot(daemon.socket))
        folder.write("machine.json", client)
        let replayed = try await Program.run(
            "vfiogroupd", ["--simulate", folder.path + "/machine.json", "--print-groups"])
        let original = try await Program.run("vfiogroupd", ["--simulate", "demo", "--print-groups"])
        #expect(replayed.output == original.output)
        #expect(replayed.code == 0)
        folder.write("nonsense.json", "{")
        let refused = try await Program.run(
            "vfiogroupd", ["--simulate", folder.path + "/nonsense.json", "--print-groups"])
        #expect(refused.code == 1)
        #expect(refused.errors.contains("it is no JSON"))
        try await daemon.stop()
    }

    @LoopActor private static func snapshot(_ socket: String) async throws -> String {
        let reply = try await VarlinkClient.connect(to: socket).call(Manager.TakeSnapshot.self, .init())
        var writer = JSONWriter()
        reply.snapshot.write(to: &writer)
        return String(decoding: writer.buffer, as: UTF8.self)
    }

    @Test("a host without PCI, or a folder without sysfs, gets a sentence")
    func noPCI() async throws {
        let folder = TemporaryFolder()
        var outcome = try await Program.run("vfiogroupd", ["--simulate", folder.path, "--print-groups"])
        #expect(outcome.code == 1)
        #expect(outcome.errors.contains("holds no sys/ folder"))
        #expect(outcome.output.isEmpty)
        folder.makeFolder("sys/devices")
        outcome = try await Program.run("vfiogroupd", ["--simulate", folder.path, "--print-groups"])
        #expect(outcome.code == 0)
        #expect(outcome.output == "{\"groups\":[]}\n")
        #expect(outcome.errors.contains("this host has no PCI"))
    }

    @Test(
        "what is wrong on its command line is named",
        arguments: [
            (["--backend", "nonsense"], "there is no backend \"nonsense\""), (["--nonsense"], "--nonsense"),
            (["word"], "\"word\""), (["--socket", ""], "--socket"), (["--simulate"], "simulate"),
            (["--config", "/nonexistent.conf", "--print-groups"], "/nonexistent.conf"),
        ])
    func wrongOptions(arguments: [String], complaint: String) async throws {
        let outcome = try await Program.run("vfiogroupd", arguments)
        #expect(outcome.code != 0)
        #expect(outcome.errors.contains(complaint), "\(outcome.errors)")
    }

    @Test("mistakes in the configuration are named by file and line, and it does not start")
    func wrongConfiguration() async throws {
        let folder = TemporaryFolder()
        folder.write("x.conf", "[Daemon]\nBackend=nonsense\nColour=red\n")
        let outcome = try await Program.run("vfiogroupd", ["--config", folder.path + "/x.conf", "--print-groups"])
        #expect(outcome.code == 1)
        #expect(outcome.errors.contains("x.conf:2: "))
        #expect(outcome.errors.contains("x.conf:3: "))
    }

    @Test("a configuration can be checked, and its reservations printed, without a host")
    func configurationAlone() async throws {
        let folder = TemporaryFolder()
        let file = folder.path + "/x.conf"
        folder.write("x.conf", "[Reservation gaming]\nDevice=01:00.0\n[Reservation net]\nGroup=pci0000-00_06.0\n")
        var outcome = try await Program.run("vfiogroupd", ["--config", file, "--check-config"])
        #expect(outcome.code == 0)
        #expect(outcome.output == "the configuration has no mistakes (\(file))\n")
        outcome = try await Program.run("vfiogroupd", ["--config", file, "--print-reservations"])
        #expect(outcome.code == 0)
        #expect(outcome.output == "gaming\tdevice\t0000:01:00.0\t-\nnet\tgroup\tpci0000-00_06.0\t-\n")
        folder.write("x.conf", "[Daemon]\nBackend=nonsense\n[Reservation x]\n")
        for option in ["--check-config", "--print-reservations"] {
            outcome = try await Program.run("vfiogroupd", ["--config", file, option])
            #expect(outcome.code == 1)
            #expect(outcome.output.isEmpty)
            #expect(outcome.errors.split(separator: "\n").map { $0.hasPrefix("\(file):") } == [true, true])
        }
    }

    @Test("it ends on SIGTERM with 0, and removes its socket")
    func termination() async throws {
        let daemon = try await RunningDaemon()
        let outcome = try await daemon.stop()
        #expect(outcome.code == 0)
        #expect(!FileManager.default.fileExists(atPath: daemon.socket))
    }

    @Test("it serves a second client while one watches, on one thread")
    func oneThread() async throws {
        let daemon = try await RunningDaemon()
        let monitor = try Program("vfiogroupctl", ["--socket", daemon.socket, "monitor"])
        #expect(await eventually(within: 30) { monitor.printed.contains("ready") })
        for _ in 0..<5 { #expect(try await daemon.control("list").code == 0) }
        let tasks = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(daemon.program.pid)/task")
        #expect(tasks.count == 1)
        try await daemon.stop()
        #expect(try await monitor.outcome().code == 1)
    }

    @Test("without a socket given, it listens in the user's folder, and vfiogroupctl finds it")
    func userFolder() async throws {
        let folder = TemporaryFolder()
        for environment in [
            ["XDG_RUNTIME_DIR": folder.path], ["XDG_RUNTIME_DIR": "", "TMPDIR": folder.path],
        ] {
            let daemon = try Program("vfiogroupd", ["--simulate", "demo"], environment: environment)
            #expect(await eventually(within: 30) { daemon.complained.contains("serving") })
            #expect(daemon.complained.contains("listening on \(folder.path)/vfiogroupd"))
            let outcome = try await Program.run("vfiogroupctl", ["list"], environment: environment)
            #expect(outcome.code == 0)
            #expect(outcome.output.contains("pci0000-00_01.0_00.0"))
            daemon.signal(SIGTERM)
            _ = try await daemon.outcome()
        }
    }

    @Test("links neither Foundation nor ICU")
    func noFoundation() throws {
        let path = Program.folder + "/vfiogroupd"
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        for name in ["libFoundation", "lib_FoundationICU", "libicu", "FoundationEssentials"] {
            #expect(bytes.range(of: Data(name.utf8)) == nil, "\(name)")
        }
    }
}
