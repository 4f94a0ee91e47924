// Records across versions of the daemon: a package is upgraded, and downgraded, while claims are held.

import EventLoop
import Files
import Foundation
import Grouping
import Host
import Inventory
import JSON
import PCI
import Registry
import SimulatedHost
import Testing
import TestSupport

@testable import Takeover

@Suite("A record of another version", .timeLimit(.minutes(15)))
struct VersionTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// Records as the daemons of those versions wrote them.
    @LoopActor private func load(_ text: String, _ folder: TemporaryFolder) throws -> (JournalFolder, JournalContents) {
        let journal = try JournalFolder(path: folder.path + "/claims", bootID: "boot")
        folder.write("claims/claim-1.json", text)
        return (journal, try journal.load())
    }

    private func text(_ folder: TemporaryFolder) throws -> JSONValue {
        try JSONValue(
            parsing: try String(contentsOfFile: folder.path + "/claims/claim-1.json", encoding: .utf8), limits: .lenient
        )
    }

    static let version0 = #"""
        {"version":0,"bootId":"boot","id":"claim-1","owner":{"uid":0,"gid":0,"pid":1,"startTime":2},"since":5,
        "lifetime":"manual","groups":[{"id":"g","goal":"hold","members":[{"address":{"bus":"pci","name":"0000:01:00.0"},
        "driver":"named","driverName":"e1000e","vfioDriver":"vfio-pci","pin":"vfio-pci"}]}]}
        """#
    static let version1 = #"""
        {"version":1,"bootId":"boot","id":"claim-1","owner":{"uid":0,"gid":0,"pid":1,"startTime":2},"since":5,
        "lifetime":"manual","access":"hold","leftOut":[],"groups":[{"id":"g","goal":"hold","members":[{"address":
        {"bus":"pci","name":"0000:01:00.0"},"identity":{},"bridge":false,"driver":"named","driverName":"e1000e",
        "vfioDriver":"vfio-pci","pin":"vfio-pci","restored":false}],"kernelGroups":[2],"wasHeld":false,
        "worker":{"pid":7,"startTime":8,"action":"bind"}}],"unownedMoments":[]}
        """#
    /// What a later daemon may come to write.
    static let version2 = #"""
        {"version":2,"bootId":"boot","id":"claim-1","owner":{"uid":0,"gid":0,"pid":1,"startTime":2,"unit":"vm.service"},
        "since":5,"lifetime":"unit","access":"shared","lease":{"until":9},"leftOut":[],"groups":[{"id":"g","goal":
        "suspend","members":[{"address":{"bus":"pci","name":"0000:01:00.0"},"identity":{"serial":"x"},"bridge":false,
        "driver":"stub","vfioDriver":"vfio-pci","pin":"vfio-pci","restored":false,"msi":12},{"address":{"bus":"pci",
        "name":"0000:01:00.1"},"identity":{},"bridge":false,"driver":"none","vfioDriver":"vfio-pci","pin":"vfio-pci",
        "restored":false,"msi":13}],"kernelGroups":[2],"wasHeld":false,"nodes":[{"eventfd":3,"user":1,"uid":0,"gid":0,
        "mode":384}],"policy":["a",{"b":null}]}],"unownedMoments":[]}
        """#

    @Test("that is older is brought to the form of this one")
    @LoopActor func older() throws {
        let folder = TemporaryFolder()
        let (journal, contents) = try load(Self.version0, folder)
        #expect(contents.problems == [])
        let claim = try #require(contents.claims.first)
        #expect(claim.access == .hold)
        #expect(claim.groups[0].wasHeld)
        #expect(claim.groups[0].members[0].before.driver == .named("e1000e"))
        #expect(claim.notUnderstood == [])
        try journal.save(claim)
        #expect(try text(folder)["version"] == 1)
        #expect(try journal.load().claims == [claim])
    }

    @Test("of this form is read as it was written when there was one worker a group")
    @LoopActor func current() throws {
        let folder = TemporaryFolder()
        let (journal, contents) = try load(Self.version1, folder)
        #expect(contents.problems == [])
        let claim = try #require(contents.claims.first)
        #expect(claim.groups[0].workers.map(\.process.pid) == [7])
        // An older daemon refuses fields that it does not know: none is written without need.
        try journal.save(claim)
        let before = try JSONValue(parsing: Self.version1, limits: .lenient)
        #expect(try text(folder) == before)
    }

    @Test("that is newer is read as far as it is understood, is held, and keeps what only the newer daemon knows")
    @LoopActor func newer() throws {
        let folder = TemporaryFolder()
        let (journal, contents) = try load(Self.version2, folder)
        var claim = try #require(contents.claims.first)
        #expect(claim.lifetime == .manual)
        #expect(claim.goal == .hold)
        #expect(claim.access == .path)
        #expect(claim.groups[0].members[0].before.driver == .unknown)
        #expect(claim.groups[0].nodes == [])
        #expect(claim.notUnderstood.count == 5)
        #expect(contents.problems.count == 5)
        // Nothing is lost of what is written back unchanged...
        let before = try JSONValue(parsing: Self.version2, limits: .lenient)
        try journal.save(claim)
        #expect(try text(folder) == before)
        // ... and of what is changed only that is different.
        claim.access = .hold
        claim.groups[0].members[1].reset = .reset
        claim.groups[0].workers = [OutstandingWorker(process: ProcessIdentity(pid: 9, startTime: 1), action: "reset")]
        try journal.save(claim)
        let after = try text(folder)
        #expect(after["access"] == "hold")
        #expect(after["lifetime"] == "unit")
        #expect(after["lease"] == before["lease"])
        #expect(after["owner"] == before["owner"])
        guard case .array(let groups)? = after["groups"], case .array(let members)? = groups[0]["members"],
            case .array(let nodes)? = groups[0]["nodes"]
        else {
            Issue.record("\(after)")
            return
        }
        #expect(groups[0]["goal"] == "suspend")
        #expect(groups[0]["policy"] != nil)
        #expect(groups[0]["worker"]?["pid"] == 9)
        #expect(members.map { $0["msi"] } == [12, 13])
        #expect(members[0]["driver"] == "stub")
        #expect(members[1]["reset"] == "reset")
        #expect(nodes.count == 1)
        // A third daemon reads the same.
        #expect(try JournalFolder(path: journal.path, bootID: "boot").load().claims.first?.groups[0].workers.count == 1)
    }

    @Test("found by a downgrade is held and says so, whoever ends, until it is released; an upgrade finds all of it")
    @LoopActor func downgrade() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        var daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.single, lifetime: .process).get().claim.claim.id
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        // The newer daemon wrote fields that this one does not know, and a value.
        let path = machine.journal + "/\(id).json"
        func rewrite(_ change: (String) -> String) throws {
            let text = try String(contentsOfFile: path, encoding: .utf8)
            try change(text).write(toFile: path, atomically: true, encoding: .utf8)
        }
        try rewrite {
            $0.replacingOccurrences(of: #""version":1"#, with: #""lease":{"until":9},"version":2"#)
                .replacingOccurrences(of: #""lifetime":"process""#, with: #""lifetime":"unit""#)
        }
        machine.host.endProcess(machine.client)
        daemon = try await machine.start()
        await machine.settle(daemon, within: .seconds(600))
        let view = try daemon.takeover.view(of: id)
        guard case .degraded(let reason) = view.state else {
            Issue.record("\(view.state)")
            return
        }
        #expect(reason.contains("version 2"))
        #expect(machine.host.kernel.isOwned(2))
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        let text = try String(contentsOfFile: path, encoding: .utf8)
        for word in [#""lease":{"until":9}"#, #""version":2"#, #""lifetime":"unit""#] { #expect(text.contains(word)) }

        // The package is upgraded, and this is the daemon that knows all of it.
        try rewrite {
            $0.replacingOccurrences(of: #""version":2"#, with: #""version":1"#)
                .replacingOccurrences(of: #""lifetime":"unit""#, with: #""lifetime":"manual""#)
        }
        daemon = try await machine.start()
        await machine.settle(daemon, within: .seconds(60))
        #expect(try daemon.takeover.view(of: id).state == .claimed)
        _ = try await machine.release(daemon, id).get()
        await machine.settle(daemon) { daemon.takeover.claimCount == 0 }
        #expect(try await machine.bindings() == before)
    }
}
