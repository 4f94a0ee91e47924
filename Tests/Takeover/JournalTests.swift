// What is on record, what of it is believed, and what is set aside.

import EventLoop
import Files
import Foundation
import Grouping
import Host
import Inventory
import PCI
import Testing
import TestSupport

@testable import Takeover

@Suite("The journal", .timeLimit(.minutes(15)))
struct JournalTests {
    init() throws { try EventLoop.main.runInBackground() }

    private func claim() throws -> Claim {
        var group = ClaimedGroup(
            id: try #require(GroupID("pci0000-00_01.0")), kernelGroups: [4, 7], goal: .hold,
            members: [
                ClaimedMember(
                    address: device("0000:01:00.0"),
                    identity: .init(vendorID: 0xffff, deviceID: 1, classCode: ClassCode(rawValue: 0x030000)),
                    isBridge: false,
                    before: .init(
                        driver: .named("nvidia"), driverOverride: "x", powerControl: .auto, d3coldAllowed: true),
                    vfioDriver: "vfio-pci", pin: "vfio-pci", reset: .failed(reason: "it said so"), enableCount: 1,
                    isRestored: true),
                ClaimedMember(
                    address: .other(bus: "platform", name: "a \"quoted\" name"), identity: .init(), isBridge: true,
                    before: .init(driver: .none)),
            ])
        group.wasHeld = true
        group.worker = OutstandingWorker(
            process: ProcessIdentity(pid: 4711, startTime: UInt64(Int64.max)), action: "unbind",
            member: device("0000:01:00.0"))
        return Claim(
            id: "claim-1", name: "ü\n", owner: Owner(uid: .max, gid: 0, process: ProcessIdentity(pid: 1, startTime: 2)),
            since: 1_800_000_000, lifetime: .process, access: .unbound, leftOut: [device("0000:01:00.1")],
            groups: [group], ioas: 7,
            unownedMoments: [UnownedMoment(group: group.id, since: 7, seconds: 0.25, cause: "why")])
    }

    @Test("gives back what was put in, and nothing that was taken out")
    @LoopActor func roundTrip() async throws {
        let folder = TemporaryFolder()
        let journal = try JournalFolder(path: folder.path + "/claims", bootID: "a")
        let claim = try claim()
        try journal.save(claim)
        let group = try #require(GroupID("g"))
        try journal.setQuarantine("it failed", of: group)
        #expect(try journal.load() == JournalContents(claims: [claim], quarantines: [group: "it failed"], problems: []))
        try journal.remove(claim.id)
        try journal.setQuarantine(nil, of: group)
        #expect(try journal.load() == JournalContents())
    }

    @Test("sets aside what is corrupt, of another boot or of a later version, says so, and goes on with the rest")
    @LoopActor func setAside() async throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/claims"
        try JournalFolder(path: path, bootID: "old").save(try claim())
        rename(path + "/claim-1.json", path + "/claim-0.json")
        let journal = try JournalFolder(path: path, bootID: "new")
        let good = try claim()
        try journal.save(good)
        let text = try String(contentsOfFile: path + "/claim-1.json", encoding: .utf8)
        func write(_ name: String, _ text: String) { folder.write("claims/" + name, text) }
        write("claim-2.json", String(text.prefix(100)))
        write("claim-3.json", text.replacingOccurrences(of: "\"version\":1", with: "\"version\":2"))
        write("claim-4.json", text)
        write(
            "claim-5.json",
            text.replacingOccurrences(of: "claim-1", with: "claim-5").replacingOccurrences(
                of: "\"name\":\"0000:01:00.0\"", with: "\"name\":\"elsewhere\""))
        write("claim-6.json", "[]")
        write("claim-7.json.new", "half")
        let contents = try journal.load()
        #expect(contents.claims == [good])
        #expect(contents.problems.count == 6, "\(contents.problems)")
        #expect(contents.problems.contains { $0.hasPrefix("claim-0.json is not executed: it is of another boot") })
        #expect(contents.problems.contains { $0.hasPrefix("claim-3.json is not executed: it is of version 2") })
        for number in [0, 2, 3, 4, 5, 6] {
            #expect(access(path + "/claim-\(number).json.aside", F_OK) == 0)
            #expect(access(path + "/claim-\(number).json", F_OK) != 0)
        }
        #expect(access(path + "/claim-7.json.new", F_OK) != 0)
        // They are said once.
        #expect(try journal.load().problems == [])
    }

    @Test("does not believe a folder that others write to")
    @LoopActor func strangers() async throws {
        let folder = TemporaryFolder()
        folder.makeFolder("claims")
        chmod(folder.path + "/claims", 0o777)
        #expect(throws: FileFailure.self) { _ = try JournalFolder(path: folder.path + "/claims", bootID: "a") }
    }

    @Test("that cannot be written to refuses a claim, and nothing is done")
    @LoopActor func full() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        #expect(rmdir(machine.journal) == 0)
        guard case .failure(.failed(let failure, unrestored: [])) = await machine.claim(daemon, TestMachine.single)
        else {
            Issue.record("a claim was made that is on no record")
            return
        }
        #expect(failure.action == "record")
        #expect(daemon.takeover.claimCount == 0)
        #expect(try await machine.bindings() == before)
    }
}
