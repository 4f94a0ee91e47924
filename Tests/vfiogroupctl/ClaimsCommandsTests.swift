// The commands about claims that are there, and what the reading commands say of them, against a scripted daemon.

import EventLoop
import GroupAPI
import JSON
import Testing
import TestSupport
import Varlink

@Suite("vfiogroupctl and claims", .timeLimit(.minutes(15)))
struct ClaimsCommandsTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// The group of the card.
    private func group(_ state: Groups.GroupState) -> Groups.Group {
        .init(
            id: cardGroup, backend: .kernel, hostBridges: ["pci0000:00"], kernelGroups: [2], isolated: true,
            claimable: true,
            members: [
                .init(address: .init(bus: card.bus, name: card.name), role: .endpoint, state: .held, driver: "vfio-pci")
            ], complete: true, blockers: [], state: state)
    }

    @Test("claims lists all, or shows one")
    @LoopActor func claims() async throws {
        let daemon = try ScriptedDaemon()
        daemon.on(Claims.ListClaims.self) { (_) async in .init(claims: [.ofCard()]) }
        daemon.on(Claims.GetClaim.self) { (_) async in .init(claim: .ofCard()) }
        #expect(
            try await daemon.control("claims").output == """
                CLAIM  NAME  STATE    OWNER                          SINCE                 LIFETIME  ACCESS  GROUPS
                c1     vm1   claimed  uid 1000, process 4711 (qemu)  2026-01-02T03:04:05Z  manual    hold    \(cardGroup)

                """)
        #expect(try await daemon.control("claims", "vm1").output.hasPrefix("claim     c1 \"vm1\"\n"))
        #expect(daemon.calls == ["ListClaims {}", #"GetClaim {"claim":"vm1"}"#])
        #expect(
            try JSONValue(parsing: try await daemon.control("claims", "--json", "vm1").output)["claim"]?["id"] == "c1")
        daemon.on(Claims.ListClaims.self) { (_) async in .init(claims: []) }
        #expect(try await daemon.control("claims").output == "Nothing is claimed.\n")
        daemon.fail(Claims.GetClaim.self, .noSuchClaim(claim: "x"))
        let unknown = try await daemon.control("claims", "x")
        #expect(unknown.code == 1)
        #expect(unknown.errors == "there is no claim x; vfiogroupctl claims lists them all\n")
        await daemon.stop()
    }

    @Test("release says what was restored, and ends with 1 while something is not")
    @LoopActor func release() async throws {
        let daemon = try ScriptedDaemon()
        daemon.on(Claims.Release.self) { (call) async throws(ErrorReply) in
            try await call.send(.init(progress: .unbinding))
            return .init(claim: .released())
        }
        var outcome = try await daemon.control("release", "vm1")
        #expect(outcome.code == 0)
        #expect(outcome.output.contains("  0000:01:00.0: nouveau again; reset\n"))
        #expect(outcome.output.contains("not reset, so that they may hold"))
        #expect(daemon.calls == [#"Release {"claim":"vm1"}"#])
        daemon.on(Claims.Release.self) { (_) async in
            var claim = Claims.ClaimStatus.released(.restoring)
            claim.groups[0].reason = "nouveau does not come back (EBUSY)"
            return .init(claim: claim)
        }
        outcome = try await daemon.control("release", "vm1")
        #expect(outcome.code == 1)
        #expect(outcome.errors.hasPrefix("group \(cardGroup) is still restoring: nouveau does not come back (EBUSY)\n"))
        #expect(outcome.errors.contains("vfiogroupctl abandon c1"))
        // A call that does not return is no failure that the daemon could name, and nothing is back either.
        daemon.on(Claims.Release.self) { (_) async in
            var claim = Claims.ClaimStatus.released(.releasing)
            claim.groups[0].operation = .init(
                action: "restore", step: 3, steps: 4, member: card, pid: 7, seconds: 2.1, blocked: true)
            return .init(claim: claim)
        }
        outcome = try await daemon.control("release", "vm1")
        #expect(outcome.code == 1)
        #expect(!outcome.output.contains("is released"))
        #expect(
            outcome.errors.hasPrefix(
                "group \(cardGroup) is still releasing: restore 0000:01:00.0 (3 of 4), has not returned for 2 s (process 7)"
            ))
        daemon.on(Claims.Release.self) { (_) async in .init(claim: .released(.restoring)) }
        outcome = try await daemon.control("--json", "release", "vm1")
        #expect(outcome.code == 1)
        #expect(try JSONValue(parsing: outcome.output)["claim"]?["state"] == "restoring")
        daemon.on(Claims.Release.self) { (_) async in .init() }
        #expect(try await daemon.control("release", "vm1").output == "claim vm1 is released\n")
        daemon.fail(
            Claims.Release.self, .notRecorded(reason: "write /run/x: No space left on device", remedy: "make room"))
        outcome = try await daemon.control("release", "vm1")
        #expect(outcome.errors.hasPrefix("nothing was done, because it cannot be put on record"))
        await daemon.stop()
    }

    @Test("release says in a pipe whom it waits for, once for each, and with --json as it came")
    @LoopActor func waits() async throws {
        let daemon = try ScriptedDaemon()
        daemon.on(Claims.Release.self) { (call) async throws(ErrorReply) in
            var wait = Claims.Progress(
                group: cardGroup,
                operation: .init(
                    action: "wait for the owner", step: 1, steps: 4, seconds: 0.1, blocked: false,
                    waitsFor: "process 7 (qemu) of vm.service has 0000:01:00.0 open",
                    remedy: "systemctl stop vm.service ends that"))
            for seconds in [0.1, 10.2, 20.3] {
                wait.operation.seconds = seconds
                try await call.send(.init(progress: wait))
            }
            try await call.send(.init(progress: .unbinding))
            wait.operation.waitsFor = "process 8 (cat) has 0000:01:00.0 open"
            wait.operation.remedy = "kill 8 ends that"
            try await call.send(.init(progress: wait))
            var stuck = Claims.Progress.unbinding
            stuck.operation.blocked = true
            stuck.operation.seconds = 3
            try await call.send(.init(progress: stuck))
            return .init(claim: .released())
        }
        var outcome = try await daemon.control("release", "vm1")
        #expect(
            outcome.errors == """
                \(cardGroup): wait for the owner (1 of 4): process 7 (qemu) of vm.service has 0000:01:00.0 open; systemctl stop \
                vm.service ends that
                \(cardGroup): wait for the owner (1 of 4) for 20 s: process 8 (cat) has 0000:01:00.0 open; kill 8 ends that
                \(cardGroup): unbind 0000:01:00.0 (3 of 12), has not returned for 3 s and may never

                """)
        outcome = try await daemon.control("--json", "release", "vm1")
        #expect(outcome.errors.isEmpty)
        #expect(outcome.output.split(separator: "\n").count == 7)
        await daemon.stop()
    }

    @Test("release and claims say what would help, and whether it is tried again")
    @LoopActor func remedies() async throws {
        let daemon = try ScriptedDaemon()
        var claim = Claims.ClaimStatus.released(.restoring)
        claim.groups[0].reason = "restore of 0000:01:00.0: nouveau did not take it back"
        claim.groups[0].remedy = "see the log"
        claim.groups[0].members[0].remedy = "see the log"
        claim.groups[0].members[1].remedy = "plug it in again"
        let restoring = claim
        daemon.on(Claims.Release.self) { (_) async in .init(claim: restoring) }
        var errors = try await daemon.control("release", "vm1").errors
        #expect(
            errors == """
                group \(cardGroup) is still restoring: restore of 0000:01:00.0: nouveau did not take it back
                  see the log
                  0000:01:00.1: plug it in again
                The daemon goes on with it; vfiogroupctl claims c1 shows how far it is, vfiogroupctl release c1 tries again, \
                vfiogroupctl abandon c1 leaves its devices as they are

                """)
        // What its reason says already is not said twice.
        claim.groups[0].reason? += "; plug it in again"
        claim.groups[0].waitsForChange = true
        let waiting = claim
        daemon.on(Claims.Release.self) { (_) async in .init(claim: waiting) }
        errors = try await daemon.control("release", "vm1").errors
        #expect(!errors.contains("The daemon goes on"))
        daemon.on(Claims.GetClaim.self) { (_) async in .init(claim: waiting) }
        #expect(
            try await daemon.control("claims", "vm1").output.hasSuffix(
                "did not take it back; plug it in again\n  see the log\n"))
        daemon.on(Claims.Abandon.self) { (_) async in
            .init(members: [
                .init(
                    address: card, reason: "nouveau did not take it back", remedy: "see the log",
                    driverOverride: "nouveau",
                    commands: ["echo > /sys/bus/pci/devices/0000:01:00.0/driver_override"])
            ])
        }
        #expect(
            try await daemon.control("abandon", "c1").output == """
                claim c1 is forgotten. Not as they were before:
                  0000:01:00.0: nouveau did not take it back
                    see the log
                    its driver_override is still nouveau
                Nobody undoes that any more. As root, by hand:
                  echo > /sys/bus/pci/devices/0000:01:00.0/driver_override

                """)
        await daemon.stop()
    }

    @Test("attach and detach take groups as they are typed")
    @LoopActor func attachAndDetach() async throws {
        let daemon = try ScriptedDaemon()
        let group = group(.claimed)
        daemon.on(Groups.GetGroup.self) { (_) async in .init(group: group) }
        daemon.on(Claims.Attach.self) { (_) async in .init(claim: .ofCard()) }
        daemon.on(Claims.Detach.self) { (_) async in .init(claim: .ofCard()) }
        var outcome = try await daemon.control("attach", "vm1", "01:00.0", "--force", "01:00.0")
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.output.hasPrefix("claim     c1"))
        outcome = try await daemon.control("detach", "vm1", "01:00.0", "g")
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(
            daemon.calls == [
                #"Attach {"claim":"vm1","selectors":[{"device":{"bus":"pci","name":"0000:01:00.0"}}],"#
                    + #""force":[{"bus":"pci","name":"0000:01:00.0"}]}"#,
                #"GetGroup {"device":{"bus":"pci","name":"0000:01:00.0"}}"#,
                "Detach {\"claim\":\"vm1\",\"groups\":[\"\(cardGroup)\",\"g\"]}",
            ])
        daemon.on(Claims.Detach.self) { (_) async in
            var returned = Claims.ClaimStatus.released().groups
            returned[0].members[0].remark = "its virtual functions were made again"
            return .init(claim: .ofCard(), returned: returned)
        }
        outcome = try await daemon.control("detach", "vm1", "g")
        #expect(
            outcome.output.hasPrefix("group \(cardGroup) is back:\n  0000:01:00.0: nouveau again; reset; its virtual"))
        daemon.on(Claims.Detach.self) { (_) async in .init(claim: .ofCard(.restoring)) }
        outcome = try await daemon.control("detach", "vm1", "g")
        #expect(outcome.code == 0, "another group's way back is no matter of this one's: \(outcome.errors)")
        #expect(try await daemon.control("detach", "vm1", "01:00.0").code == 1)
        await daemon.stop()
    }

    @Test("adopt, abandon and unquarantine say what they did")
    @LoopActor func odds() async throws {
        let daemon = try ScriptedDaemon()
        let group = group(.orphaned)
        daemon.on(Groups.GetGroup.self) { (_) async in .init(group: group) }
        daemon.on(Claims.Adopt.self) { (_) async in .init(claim: .ofCard()) }
        daemon.on(Claims.Abandon.self) { (_) async in
            .init(members: [.init(address: card, reason: "it has no driver, and had nouveau")])
        }
        daemon.on(Claims.Unquarantine.self) { (_) async in .init() }
        #expect(try await daemon.control("adopt", "2", "--name", "vm1").output.hasPrefix("claim     c1"))
        #expect(
            try await daemon.control("abandon", "c1").output
                == "claim c1 is forgotten. Not as they were before:\n  0000:01:00.0: it has no driver, and had nouveau\n"
        )
        #expect(try await daemon.control("unquarantine", "g").output == "group g can be claimed again\n")
        #expect(
            daemon.calls == [
                #"GetGroup {"kernelGroup":2}"#,
                "Adopt {\"group\":\"\(cardGroup)\",\"name\":\"vm1\",\"lifetime\":\"manual\"}",
                #"Abandon {"claim":"c1"}"#, #"Unquarantine {"group":"g"}"#,
            ])
        for arguments in [["adopt", "g"], ["abandon", "c1"], ["unquarantine", "g"]] {
            let outcome = try await Program.run("vfiogroupctl", ["--socket", daemon.socket, "--json"] + arguments)
            #expect(outcome.output.hasPrefix("{"))
        }
        await daemon.stop()
    }

    @Test("show names the claim that has a group, and list counts what is claimed")
    @LoopActor func reading() async throws {
        let daemon = try ScriptedDaemon()
        var claimed = group(.claimed)
        claimed.claim = "c1"
        let group = claimed
        daemon.on(Groups.GetGroup.self) { (_) async in .init(group: group) }
        daemon.on(Groups.ListGroups.self) { (_) async in .init(groups: [group]) }
        daemon.on(Claims.GetClaim.self) { (_) async in .init(claim: .ofCard()) }
        daemon.on(Manager.GetStatus.self) { (_) async in
            .init(
                version: "1", host: "this host", simulated: false, generation: 1, isolating: true, remarks: [],
                groupCount: 1, deviceCount: 2, ungroupedCount: 0, hostBridges: [], disagreements: [], warnings: [],
                reservations: [])
        }
        let shown = try await daemon.control("show", cardGroup).output
        #expect(shown.contains("state         claimed\n"))
        #expect(
            shown.contains("claim         c1 \"vm1\", of uid 1000, process 4711 (qemu) since 2026-01-02T03:04:05Z\n"))
        #expect(
            try await daemon.control("list").output.contains("note: 1 of 1 groups are claimed (vfiogroupctl claims)"))
        await daemon.stop()
    }

    @Test("simulate says of a daemon that serves a real machine that it is not for that")
    @LoopActor func simulate() async throws {
        let daemon = try ScriptedDaemon()
        for arguments in [
            ["fault", "unbind", "01:00.0", "--never-returns"], ["unplug", "01:00.0"], ["load", "vfio-pci"],
        ] {
            let outcome = try await Program.run("vfiogroupctl", ["--socket", daemon.socket, "simulate"] + arguments)
            #expect(outcome.code == 1)
            #expect(outcome.errors.contains("simulate is only for simulations"))
        }
        await daemon.stop()
    }

    @Test("monitor prints kinds of events that it does not know")
    @LoopActor func monitor() async throws {
        let daemon = try ScriptedDaemon()
        daemon.server.handleWriting(Groups.Monitor.self) { (call) async throws(ErrorReply) in
            // Encoded, for our own types do not know the kind either.
            try await call.send(Answer(encoded: Array(#"{"generation":1,"kind":"ready"}"#.utf8)))
            let event = #"{"generation":2,"kind":"claimBlessed","group":"g","claim":"c1","cause":"why"}"#
            return Answer(encoded: Array(event.utf8))
        }
        let outcome = try await daemon.control("monitor")
        #expect(outcome.output == "1  ready\n2  claimBlessed  g  claim c1  (why)\n", "\(outcome.errors)")
        await daemon.stop()
    }
}
