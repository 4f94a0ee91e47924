// Other people's client, and our own command line, against the running daemon.

import Foundation
import JSON
import Testing
import TestSupport

@Suite("PyPI's varlink as a client", .timeLimit(.minutes(15)), .enabled(if: Program.python != nil))
struct PythonClientTests {
    private func varlink(_ arguments: String...) async throws -> Program.Outcome {
        try await Program.run(try #require(Program.python), ["-m", "varlink.cli"] + arguments)
    }

    @Test("info, help and call work")
    func everything() async throws {
        let daemon = try await RunningDaemon()
        let address = "unix:\(daemon.socket)"
        var outcome = try await varlink("info", address)
        #expect(outcome.code == 0)
        for interface in ["org.varlink.service", "io.vfiogroupd.Groups", "io.vfiogroupd.Manager"] {
            #expect(outcome.output.contains(interface))
            let help = try await varlink("help", "\(address)/\(interface)")
            #expect(help.code == 0, "\(help.errors)")
            #expect(help.output.contains("interface \(interface)"))
        }
        outcome = try await varlink("call", "\(address)/io.vfiogroupd.Groups.ListGroups", "{}")
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(try JSONValue(parsing: outcome.output)["groups"] != nil)
        outcome = try await varlink(
            "call", "\(address)/io.vfiogroupd.Groups.GetGroup", #"{"device":{"bus":"pci","name":"0000:01:00.1"}}"#)
        #expect(try JSONValue(parsing: outcome.output)["group"]?["id"] == "pci0000-00_01.0_00.0")
        outcome = try await varlink("call", "-m", "\(address)/io.vfiogroupd.Groups.ListDevices", "{}")
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.output.contains("10000:e1:00.0"))
        outcome = try await varlink("call", "\(address)/io.vfiogroupd.Manager.GetStatus", "{}")
        #expect(try JSONValue(parsing: outcome.output)["groupCount"] == 23)
        outcome = try await varlink("call", "\(address)/io.vfiogroupd.Groups.GetGroup", #"{"id":"nonsense"}"#)
        #expect((outcome.output + outcome.errors).contains("NoSuchGroup"))
        try await daemon.stop()
    }
}

@Suite("vfiogroupctl", .timeLimit(.minutes(15)))
struct ControlTests {
    @Test("shows tables that people can read")
    func tables() async throws {
        let daemon = try await RunningDaemon()
        let list = try await daemon.control("list")
        #expect(list.code == 0)
        #expect(list.output.hasPrefix("GROUP "))
        #expect(list.output.contains("this is a simulation"))
        let show = try await daemon.control("show", "01:00.1")
        #expect(show.output.contains("group         pci0000-00_01.0_00.0"))
        #expect(show.output.contains("In the way:"))
        #expect(try await daemon.control("show", "2").output == show.output)
        #expect(try await daemon.control("show", "pci/0000:01:00.0").output == show.output)
        let tree = try await daemon.control("tree")
        #expect(tree.output.contains("│  └─ 0000:01:00.1"))
        #expect(tree.output.contains("pci10000:e0"))
        let devices = try await daemon.control("devices")
        #expect(devices.output.split(separator: "\n").count == 33)
        let status = try await daemon.control("status")
        #expect(status.output.contains("pci0000:80"))
        try await daemon.stop()
    }

    @Test(
        "prints replies as they came with --json",
        arguments: [
            ["list"], ["show", "2"], ["devices"], ["tree"], ["status"],
        ])
    func json(arguments: [String]) async throws {
        let daemon = try await RunningDaemon()
        let outcome = try await Program.run("vfiogroupctl", ["--socket", daemon.socket, "--json"] + arguments)
        #expect(outcome.code == 0)
        #expect(outcome.output.split(separator: "\n").count == 1)
        let value = try JSONValue(parsing: outcome.output)
        if arguments == ["list"] {
            let printed = try await Program.run("vfiogroupd", ["--simulate", "demo", "--print-groups"])
            // The host is not asked what it uses for what is only printed.
            #expect(try JSONValue(parsing: printed.output) == value.withoutUses)
        }
        if arguments.first == "show" {
            guard case .array(let members)? = value["resets"] else {
                Issue.record("no resets in \(value)")
                return
            }
            let methods = JSONValue.array([.string("flr")])
            for (member, address) in zip(members, ["0000:01:00.0", "0000:01:00.1"]) {
                #expect(member["address"]?["name"] == .string(address))
                #expect(member["methods"] == methods)
                #expect(member["bus"]?["name"] == .string("0000:01"))
            }
            #expect(members.count == 2)
        }
        try await daemon.stop()
    }

    @Test("list, show and tree say what the host uses, and a dry run of a claim by class leaves that alone")
    func uses() async throws {
        let daemon = try await RunningDaemon()
        let list = try await daemon.control("list").output
        func line(_ device: String) -> Substring? { list.split(separator: "\n").first { $0.contains(device) } }
        #expect(
            line("0000:02:00.0")?.contains("in use") == true && line("0000:02:00.0")?.contains("mounted,swap") == true)
        #expect(line("0000:03:00.0")?.contains("route") == true)
        #expect(list.split(separator: "\n").contains { $0.hasPrefix("pci0000-00_1c.0 ") && $0.contains(" in use ") })
        #expect(line("0000:01:00.0")?.contains(" available ") == true)
        let show = try await daemon.control("show", "02:00.0").output
        #expect(show.contains("state         in use\n"))
        #expect(show.contains("  0000:02:00.0: nvme0n1p2 on it is mounted at /\n    unmount it\n"))
        #expect(show.contains("vfiogroupctl claim 0000:02:00.0 takes the whole group"))
        #expect(!show.contains("bind it to"))
        let tree = try await daemon.control("tree").output
        #expect(tree.split(separator: "\n").contains { $0.contains("0000:02:00.0") && $0.contains("(in use)") })

        let dry = try await daemon.control("claim", "class=0200", "--dry-run", "--guest-memory", "64M")
        #expect(dry.code == 0, "\(dry.errors)")
        #expect(dry.output.contains("The claim would take this. Nothing was changed.\n"))
        #expect(dry.output.contains("Passed over, because the host uses it:\n  0000:03:00.0: the default route leads"))
        #expect(dry.output.contains("1. load vfio-pci\n") && dry.output.contains(" own kernel group 9\n"))
        #expect(dry.output.contains("must be allowed to lock 68157440 bytes"))
        let refused = try await daemon.control("claim", "02:00.0", "--dry-run")
        #expect(refused.code == 1)
        #expect(refused.output.contains("The claim would be refused"))
        #expect(try await daemon.control("claim", "02:00.0", "--dry-run", "--", "true").code == 64)
        #expect(try await daemon.control("claims").output.split(separator: "\n").count <= 1)
        try await daemon.stop()
    }

    @Test("says what is wrong, and ends with 1")
    func errors() async throws {
        let daemon = try await RunningDaemon()
        var outcome = try await daemon.control("show", "nonsense")
        #expect(outcome.code == 1)
        #expect(outcome.errors.contains("there is no group nonsense"))
        outcome = try await daemon.control("show", "0000:77:00.0")
        #expect(outcome.errors.contains("there is no device 0000:77:00.0"))
        try await daemon.stop()
        outcome = try await Program.run("vfiogroupctl", ["--socket", "/nonexistent", "list"])
        #expect(outcome.code == 1)
        #expect(outcome.errors.contains("/nonexistent"))
        #expect(outcome.errors.contains("Start the service"))
    }

    @Test("explains a group, a device, and two devices")
    func explain() async throws {
        let daemon = try await RunningDaemon()
        let group = try await daemon.control("explain", "pci0000-00_01.0_00.0")
        #expect(group.code == 0)
        #expect(group.output.contains("0000:01:00.1 (endpoint) has no ACS"))
        #expect(group.output.contains("Would not:"))
        #expect(try await daemon.control("explain", "01:00.0").output == group.output)
        #expect(try await daemon.control("explain", "2").output == group.output)
        let together = try await daemon.control("explain", "05:00.0", "05:01.0")
        #expect(together.output.contains("PCIe-to-PCI bridge 0000:04:00.0"))
        let apart = try await daemon.control("explain", "01:00.0", "02:00.0")
        #expect(apart.output.contains("What keeps them apart:"))
        let json = try await daemon.control("--json", "explain", "01:00.0", "02:00.0")
        #expect(try JSONValue(parsing: json.output)["together"] == false)
        let wrong = try await daemon.control("explain", "2", "01:00.0")
        #expect(wrong.code == 1)
        #expect(wrong.errors.contains("\"2\" is no device"))
        try await daemon.stop()
    }

    @Test("shows windows and resets, and takes a snapshot that replays to the same groups")
    func snapshot() async throws {
        let daemon = try await RunningDaemon()
        let show = try await daemon.control("show", "01:00.1")
        #expect(show.output.contains("0xfef00000  0x7fffffffff  usable"))
        #expect(show.output.contains("a reset of bus 0000:01 takes along 0000:01:00.1"))
        let file = daemon.folder.path + "/machine.json"
        let taken = try await daemon.control("snapshot", "--output", file)
        #expect(taken.output == "\(file): 32 devices, 23 kernel groups\n", "\(taken.errors)")
        let printed = try await daemon.control("snapshot")
        #expect(printed.output == (try String(contentsOfFile: file, encoding: .utf8)))
        let groups = try await Program.run("vfiogroupd", ["--simulate", file, "--print-groups"])
        let list = try await Program.run("vfiogroupctl", ["--socket", daemon.socket, "--json", "list"])
        #expect(try JSONValue(parsing: groups.output) == JSONValue(parsing: list.output).withoutUses)
        let nowhere = try await daemon.control("snapshot", "--output", daemon.folder.path + "/no/where")
        #expect(nowhere.code == 1)
        #expect(nowhere.errors.contains("cannot be written"))
        try await daemon.stop()
    }

    @Test("puts serial numbers into a snapshot when they are asked for, and only then")
    func serialNumbers() async throws {
        let number = #""serialNumber":"00-1b-21-ff-ff-3a-c5-10""#
        let demo = try await RunningDaemon()
        let printed = try await demo.control("snapshot").output
        try await demo.stop()
        let start = try #require(printed.range(of: #""function":{"#))
        demo.folder.write("machine.json", printed.replacingCharacters(in: start, with: #""function":{\#(number),"#))
        let daemon = try await RunningDaemon(simulate: demo.folder.path + "/machine.json")
        let with = try await daemon.control("snapshot", "--serial-numbers").output
        #expect(with.components(separatedBy: number).count == 2)
        #expect(try await daemon.control("snapshot").output == printed)
        try await daemon.stop()
    }

    @Test("the groups are folders beside the socket for as long as the daemon runs")
    func tree() async throws {
        let daemon = try await RunningDaemon()
        let folder = daemon.socket + ".groups"
        let state = folder + "/pci0000-00_01.0_00.0/state"
        @Sendable func text() -> String? { try? String(contentsOfFile: state, encoding: .utf8) }
        #expect(await eventually(within: 60) { text() == "available\n" })
        #expect(try await daemon.control("simulate", "bind", "01:00.0", "vfio-pci").code == 0)
        #expect(await eventually(within: 60) { text() == "orphaned\n" })
        try await daemon.stop()
        #expect(!FileManager.default.fileExists(atPath: folder))
    }

    @Test("with the backend predicted, groups are listed and none can be claimed")
    func predicted() async throws {
        let daemon = try await RunningDaemon(arguments: ["--backend", "predicted"])
        let show = try await daemon.control("show", "01:00.0")
        #expect(show.output.contains("backend       predicted"))
        #expect(show.output.contains("claimable     no"))
        try await daemon.stop()
    }

    @Test("shows a device in no group, with the reason")
    func ungrouped() async throws {
        let capture = try #require(Capture.named("q35-amd-small"))
        let daemon = try await RunningDaemon(simulate: capture.root)
        let outcome = try await daemon.control("show", "0000:00:01.0")
        #expect(outcome.code == 0)
        #expect(outcome.output.contains("it is the IOMMU itself"))
        try await daemon.stop()
    }
}

@Suite("vfiogroupctl simulate", .timeLimit(.minutes(15)))
struct SimulateCommandTests {
    @Test("changes the simulated machine, and monitor shows it")
    func bind() async throws {
        let daemon = try await RunningDaemon()
        let monitor = try Program("vfiogroupctl", ["--socket", daemon.socket, "monitor"])
        #expect(await eventually(within: 60) { monitor.printed.contains("ready") })
        let bound = try await daemon.control("simulate", "bind", "01:00.0", "vfio-pci")
        #expect(bound.output == "01:00.0 has the driver vfio-pci now\n")
        #expect(await eventually(within: 60) { monitor.printed.contains("nouveau before, vfio-pci now") })
        let refused = try await daemon.control("simulate", "unbind", "84:00.0")
        #expect(refused.code == 1)
        #expect(refused.errors.contains("ENODEV"))
        let unknown = try await daemon.control("simulate", "remove", "77:00.0")
        #expect(unknown.errors.contains("there is no device 0000:77:00.0"))
        try await daemon.stop()
    }

    @Test("plugs devices in and pulls them out")
    func hotplug() async throws {
        let daemon = try await RunningDaemon()
        let plugged = try await daemon.control(
            "simulate", "hotplug", "01:00.2", "--into", "01:00.0", "--driver", "igb", "--class", "0200", "--vendor",
            "8086")
        #expect(plugged.output == "01:00.2 is in kernel group 2, with the driver igb\n", "\(plugged.errors)")
        #expect(try await daemon.control("simulate", "unplug", "01:00.2").code == 0)
        #expect(try await daemon.control("simulate", "unplug", "02:00.0").code == 0)
        let behind = try await daemon.control("simulate", "hotplug", "02:00.0", "--behind", "00:06.0")
        #expect(behind.output == "02:00.0 is in kernel group 4, with the driver nvme\n", "\(behind.errors)")
        let there = try await daemon.control("simulate", "hotplug", "02:00.0", "--behind", "00:06.0")
        #expect(there.code == 1)
        #expect(there.errors == "nothing can be plugged in at 0000:02:00.0: 0000:02:00.0 is there already\n")
        #expect(try await daemon.control("simulate", "hotplug", "02:00.1").code == 64)
        let nowhere = try await daemon.control("simulate", "hotplug", "02:00.1", "--into", "nonsense")
        #expect(nowhere.errors == "there is no group nonsense; vfiogroupctl list shows them all\n")
        try await daemon.stop()
    }

    @Test("has calls fail, stay away and go on")
    func faults() async throws {
        let daemon = try await RunningDaemon()
        #expect(try await daemon.control("simulate", "fault", "unbind", "01:00.0", "--errno", "EBUSY").code == 0)
        #expect(try await daemon.control("simulate", "unbind", "01:00.0").errors.contains("refused: EBUSY"))
        #expect(try await daemon.control("simulate", "fault", "unbind", "01:00.0", "--never-returns").code == 0)
        #expect(try await daemon.control("simulate", "unbind", "01:00.0").errors.contains("release-blocked"))
        #expect(try await daemon.control("simulate", "release-blocked").output == "let go on: 1\n")
        #expect(
            try await daemon.control("simulate", "fault", "reset", "01:00.0", "--errno", "EIO", "--always").code == 0)
        #expect(try await daemon.control("simulate", "faults", "clear").output == "taken back: 1\n")
        #expect(
            try await daemon.control("simulate", "fault", "unbind", "01:00.0", "--errno", "EFOO").errors.hasPrefix(
                "the simulated kernel knows no error number EFOO; it has EPERM, "))
        #expect(try await daemon.control("simulate", "fault", "unbind", "01:00.0").code == 64)
        #expect(try await daemon.control("simulate", "fault", "nonsense", "01:00.0", "--never-returns").code == 64)
        try await daemon.stop()
    }

    @Test("decides what resets do and what is in use, and loads modules")
    func others() async throws {
        let daemon = try await RunningDaemon()
        for arguments in [
            ["reset", "01:00.0", "fails"], ["use", "01:00.0", "mounted:/", "boot-display"],
            ["use", "01:00.0", "linkUp:eth0", "stacked"], ["use", "01:00.0", "none"],
            ["load", "pci-stub"],
        ] {
            let outcome = try await Program.run("vfiogroupctl", ["--socket", daemon.socket, "simulate"] + arguments)
            #expect(outcome.code == 0, "\(outcome.errors)")
            #expect(outcome.output.isEmpty)
        }
        #expect(
            try await daemon.control("simulate", "load", "nonsense").errors
                == "the simulated machine has no driver nonsense, and no module of that name\n")
        #expect(
            try await daemon.control("simulate", "use", "01:00.0", "nonsense").errors
                .hasPrefix("there is no use nonsense that can be said of a machine: there are mounted, "))
        #expect(try await daemon.control("simulate", "use", "01:00.0", "mounted").code == 64)
        try await daemon.stop()
    }

    @Test("a captured machine can be changed too, and its files are not")
    func capture() async throws {
        let capture = try #require(Capture.named("q35-nvme-sriov"))
        let daemon = try await RunningDaemon(simulate: capture.root)
        #expect(try await daemon.control("simulate", "vfs", "01:00.0", "0").code == 0)
        // The registry follows a moment later.
        var shown = try await daemon.control("show", "0000:01:00.1")
        for _ in 0..<100 where shown.code == 0 { shown = try await daemon.control("show", "0000:01:00.1") }
        #expect(shown.errors.contains("there is no device 0000:01:00.1"))
        #expect(capture.kernelGroups.count == 8)
        try await daemon.stop()
    }
}

extension JSONValue {
    /// A reply of ListGroups without what the host uses.
    fileprivate var withoutUses: JSONValue {
        guard case .object(var reply) = self, case .array(let groups)? = reply["groups"] else { return self }
        let bare = groups.map { group -> JSONValue in
            guard case .object(var group) = group else { return group }
            group.members.removeAll { $0.key == "uses" || $0.key == "usesSeen" }
            return .object(group)
        }
        reply.members = [.init(key: "groups", value: .array(bare))]
        return .object(reply)
    }
}
