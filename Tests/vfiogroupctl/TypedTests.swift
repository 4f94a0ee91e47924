// What is typed: selectors, and the arguments of claim.

import ArgumentParser
import GroupAPI
import Testing

@testable import vfiogroupctl

@Suite("A selector", .timeLimit(.minutes(15)))
struct SelectorTests {
    @Test("is a group's identity, a device, or IDs")
    func kinds() throws {
        #expect(try Claims.Selector(typed: cardGroup) == .init(group: cardGroup))
        #expect(try Claims.Selector(typed: "0000:01:00.0") == .init(device: card))
        #expect(try Claims.Selector(typed: "01:00.0") == .init(device: card))
        #expect(try Claims.Selector(typed: "ap/00.0001") == .init(device: .init(bus: "ap", name: "00.0001")))
        #expect(
            try Claims.Selector(typed: "vendor=10de,device=2204,class=0300")
                == .init(vendorId: 0x10de, deviceId: 0x2204, classCode: 0x030000))
        #expect(try Claims.Selector(typed: "vendor=0x8086") == .init(vendorId: 0x8086))
    }

    @Test("with six digits of a class means the programming interface too")
    func programmingInterface() throws {
        #expect(try Claims.Selector(typed: "class=010802") == .init(classCode: 0x010802, classMask: 0xff_ffff))
    }

    @Test("has a count only where it is of IDs")
    func count() throws {
        #expect(try Claims.Selector(typed: "vendor=10de", count: 2).count == 2)
        #expect(try Claims.Selector(typed: cardGroup, count: 2).count == nil)
    }

    @Test(
        "that is wrong is refused, and the reason said",
        arguments: [
            ("", "an empty selector"), ("vendor=zz", "\"zz\" is no hexadecimal number"),
            ("vendor=10d", "vendor has four"), ("device=0x012345", "device has four"),
            ("class=03000", "class has four hexadecimal digits, or six"), ("class=", "no hexadecimal number"),
            ("colour=10de", "not one of vendor, device, class"), ("vendor=10de,", "\"\" is no KEY=VALUE"),
            ("vendor=10de,vendor=10de", "vendor is there twice"), ("vendor=+10d", "no hexadecimal number"),
        ])
    func wrong(text: String, reason: String) {
        do throws(Complaint) {
            _ = try Claims.Selector(typed: text)
            Issue.record("\(text) was taken")
        } catch {
            #expect(error.description.contains(reason), "\(error)")
        }
    }
}

@Suite("The arguments of claim", .timeLimit(.minutes(15)))
struct ClaimArgumentsTests {
    private func parse(_ arguments: String...) throws -> ClaimCommand {
        let command = try Command.parseAsRoot(Command.keepingTerminator(["claim"] + arguments))
        return try #require(command as? ClaimCommand)
    }

    @Test("are selectors, options, and behind -- a command")
    func everything() throws {
        let command = try parse(
            "01:00.0", "--force", "01:00.0", "--name", "vm1", cardGroup, "--force", "01:00.1", "--access", "unbound",
            "--leave-out", "01:00.1", "--wait", "5", "--", "qemu", "--name", "x", "--", "y")
        #expect(command.selectors == ["01:00.0", cardGroup])
        #expect(command.command == ["qemu", "--name", "x", "--", "y"])
        #expect(command.takeover.force == ["01:00.0", "01:00.1"])
        #expect(command.leaveOut == ["01:00.1"])
        #expect(command.name == "vm1")
        #expect(command.access == .unbound)
        #expect(command.wait == 5)
        #expect(command.effectiveLifetime == .process)
    }

    @Test("mean a manual claim that is held, unless they say otherwise")
    func defaults() throws {
        #expect(try parse("01:00.0").effectiveLifetime == .manual)
        #expect(try parse("01:00.0").access == .hold)
        #expect(try parse("01:00.0", "--lifetime", "connection").effectiveLifetime == .connection)
        #expect(try parse("01:00.0", "--lifetime", "manual", "--", "true").effectiveLifetime == .manual)
    }

    @Test("that open nodes to a user hand nothing to the command, and may be of a claim that stays")
    func nodes() throws {
        #expect(try parse("01:00.0", "--access", "path").effectiveLifetime == .manual)
        #expect(try parse("01:00.0", "--access", "path", "--user", "65534").user == "65534")
        #expect(throws: (any Error).self) { try parse("01:00.0", "--user", "65534") }
    }

    @Test("that hand descriptors to nobody are refused", arguments: ["bound", "unbound", "container"])
    func nobody(access: String) throws {
        #expect(throws: (any Error).self) { try parse("01:00.0", "--access", access) }
        #expect(throws: (any Error).self) { try parse("01:00.0", "--access", access, "--lifetime", "manual") }
        for lifetime in ["process", "connection"] {
            #expect(try parse("01:00.0", "--access", access, "--lifetime", lifetime).access.rawValue == access)
        }
        #expect(try parse("01:00.0", "--access", access, "--", "true").access.rawValue == access)
    }

    @Test(
        "that make no sense are refused",
        arguments: [
            [], ["--", "true"], ["01:00.0", "--"], ["01:00.0", "--wait", "-1"], ["01:00.0", "--count", "0"],
            ["01:00.0", "--access", "all"], ["01:00.0", "--lifetime", "ever"], ["01:00.0", "--leave-out", "01:00.1"],
        ])
    func senseless(arguments: [String]) {
        #expect(throws: (any Error).self) {
            try Command.parseAsRoot(Command.keepingTerminator(["claim"] + arguments))
        }
    }

    @Test("another command's -- is left alone")
    func others() {
        #expect(Command.keepingTerminator(["show", "--", "x"]) == ["show", "--", "x"])
        #expect(Command.keepingTerminator(["claim", "x"]) == ["claim", "x"])
    }
}

@Suite("A simulated use", .timeLimit(.minutes(15)))
struct UseTests {
    @Test("is read as it is typed")
    func typed() {
        #expect(SimulateUse.Use(argument: "mounted:/a:b") == .mounted("/a:b"))
        #expect(SimulateUse.Use(argument: "default-route:eth0") == .defaultRoute("eth0"))
        #expect(SimulateUse.Use(argument: "boot-display") == .bootDisplay)
        #expect(SimulateUse.Use(argument: "linkUp") == .other("linkUp", name: nil))
        #expect(SimulateUse.Use(argument: "stacked:dm-3 (home)") == .other("stacked", name: "dm-3 (home)"))
        #expect(SimulateUse.Use(argument: "none") == SimulateUse.Use.none)
        for wrong in ["", "mounted", "mounted:", "default-route:", "none:x", "linkUp:", ":eth0"] {
            #expect(SimulateUse.Use(argument: wrong) == nil, "\(wrong)")
        }
    }
}
