// `claim` against a scripted daemon: what it asks for, what it prints, and the commands that it runs.

import EventLoop
import Glibc
import GroupAPI
import JSON
import Testing
import TestSupport
import Varlink

@Suite("vfiogroupctl claim", .timeLimit(.minutes(15)))
struct ClaimCommandTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("asks for what was typed, and prints the claim")
    @LoopActor func claim() async throws {
        let daemon = try ScriptedDaemon()
        daemon.on(Claims.Claim.self) { (call) async throws(ErrorReply) in
            try await call.send(.init(progress: .unbinding))
            return .init(claim: .ofCard())
        }
        let outcome = try await daemon.control(
            "claim", "01:00.0", "vendor=10de,class=0300", "--name", "vm1", "--force", "01:00.0", "--count", "2",
            "--wait", "7")
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.errors.isEmpty)
        #expect(outcome.output.hasPrefix("claim     c1 \"vm1\"\nstate     claimed\n"))
        #expect(outcome.output.contains("0000:01:00.0  nouveau  ->  vfio-pci\n"))
        #expect(
            daemon.calls == [
                #"Claim {"selectors":[{"device":{"bus":"pci","name":"0000:01:00.0"}},"#
                    + #"{"vendorId":4318,"classCode":196608,"count":2}],"name":"vm1","lifetime":"manual","#
                    + #""access":"hold","force":[{"bus":"pci","name":"0000:01:00.0"}],"waitSeconds":7}"#
            ])
        await daemon.stop()
    }

    @Test("with --json prints every reply as it came")
    @LoopActor func json() async throws {
        let daemon = try ScriptedDaemon()
        daemon.on(Claims.Claim.self) { (call) async throws(ErrorReply) in
            try await call.send(.init(progress: .unbinding))
            return .init(claim: .ofCard())
        }
        let outcome = try await daemon.control("--json", "claim", "01:00.0")
        let lines = outcome.output.split(separator: "\n").map(String.init)
        try #require(lines.count == 2)
        #expect(try JSONValue(parsing: lines[0])["progress"]?["operation"]?["action"] == "unbind")
        #expect(try JSONValue(parsing: lines[1])["claim"]?["id"] == "c1")
        await daemon.stop()
    }

    @Test("shows on a terminal how far it is")
    @LoopActor func terminal() async throws {
        guard access("/usr/bin/script", X_OK) == 0 else {
            print("SKIPPED: progress on a terminal, because /usr/bin/script is not there (package bsdutils)")
            return
        }
        let daemon = try ScriptedDaemon()
        daemon.on(Claims.Claim.self) { (call) async throws(ErrorReply) in
            try await call.send(.init(progress: .unbinding))
            return .init(claim: .ofCard())
        }
        let command = "\(Program.folder)/vfiogroupctl --socket \(daemon.socket) claim 01:00.0"
        let outcome = try await Program.run("/usr/bin/script", ["-qec", command, "/dev/null"])
        #expect(outcome.output.contains("\r\u{1b}[K\(cardGroup): unbind 0000:01:00.0 (3 of 12)"))
        #expect(outcome.output.contains("\r\u{1b}[Kclaim     c1"))
        await daemon.stop()
    }

    @Test("says what was wrong, with the selector as it was typed")
    @LoopActor func errors() async throws {
        let daemon = try ScriptedDaemon()
        daemon.fail(Claims.Claim.self, .notEnoughGroups(selector: 0, wanted: 1, found: 0))
        var outcome = try await daemon.control("claim", "vendor=10de")
        #expect(outcome.code == 1)
        #expect(outcome.errors.hasPrefix("vendor=10de asks for 1 group, and 0 can be had now;"))
        daemon.fail(
            Claims.Claim.self, .inUse(uses: [.init(address: card, reason: "it shows the console")], remedy: "Log out."))
        outcome = try await daemon.control("claim", "01:00.0")
        #expect(outcome.code == 1)
        #expect(outcome.errors.contains("  0000:01:00.0: it shows the console\n"))
        #expect(outcome.errors.contains("--force 0000:01:00.0"))
        outcome = try await daemon.control("claim", "01:00.0", "--access", "bound")
        #expect(outcome.code == 64)
        #expect(outcome.errors.contains("add --lifetime process"))
        #expect(daemon.calls.count == 2)
        await daemon.stop()
    }

    @Test("prints what the host uses and did not stop the claim")
    @LoopActor func uses() async throws {
        let daemon = try ScriptedDaemon()
        daemon.on(Claims.Claim.self) { (_) async in
            .init(
                claim: .ofCard(),
                uses: [
                    .init(
                        address: card, reason: "its interface eth0 is up", kind: "linkUp", severity: .warns,
                        remedy: "set it down")
                ])
        }
        let outcome = try await daemon.control("claim", "01:00.0")
        #expect(
            outcome.output.hasSuffix(
                """

                The host uses, all the same:
                  0000:01:00.0: its interface eth0 is up (refuses no claim)
                    set it down

                """), "\(outcome.output)")
        await daemon.stop()
    }

    @Test("says which nodes may be opened and by whom, and what a consumer needs")
    @LoopActor func nodesAndNeeds() async throws {
        let daemon = try ScriptedDaemon()
        daemon.on(Claims.Claim.self) { (_) async in
            .init(
                claim: .ofCard(),
                handover: .init(
                    access: .path, devices: [], groups: [], leftOut: [],
                    nodes: [
                        .init(path: "/dev/vfio/7", kernelGroup: 7),
                        .init(path: "/dev/vfio/devices/vfio0", device: card),
                    ],
                    user: 65_534),
                needs: .init(
                    memlock: 68_157_440, sharedAddressSpace: true,
                    resets: [
                        .init(kind: .bus, name: "0000:01", devices: [card, sound], unclaimed: []),
                        .init(kind: .slot, name: "3", devices: [card, sound], unclaimed: [sound]),
                    ]))
        }
        let outcome = try await daemon.control(
            "claim", "01:00.0", "--access", "path", "--user", "65534", "--guest-memory", "64M")
        #expect(outcome.code == 0)
        #expect(daemon.calls[0].contains("\"user\":65534") && daemon.calls[0].contains("\"guestMemory\":67108864"))
        let said = """

            Until the groups are the daemon's again, uid 65534 may open:
              /dev/vfio/7  kernel group 7
              /dev/vfio/devices/vfio0  0000:01:00.0

            A consumer
              must be allowed to lock 68157440 bytes (RLIMIT_MEMLOCK)
              has all groups in one address space
              can reset bus 0000:01: 0000:01:00.0, 0000:01:00.1
              cannot reset slot 3, which has devices that are not claimed: 0000:01:00.1

            """
        #expect(outcome.output.hasSuffix(said), "\(outcome.output)")
        #expect(try await daemon.control("claim", "01:00.0", "--user", "65534").code == 64)
        for size in ["much", "9999999T", "-1", "", "G"] {
            let refused = try await daemon.control("claim", "01:00.0", "--guest-memory", size)
            #expect(refused.code != 0 && !refused.errors.isEmpty)
        }
        #expect(daemon.calls.count == 1)
        await daemon.stop()
    }

    @Test("as the owner it stays until it is interrupted")
    @LoopActor func process() async throws {
        let daemon = try ScriptedDaemon()
        daemon.on(Claims.Claim.self) { (_) async in .init(claim: .ofCard(lifetime: .process)) }
        let owner = try daemon.start("claim", "01:00.0", "--lifetime", "process")
        #expect(await eventually(within: 60) { owner.complained.contains("as long as this process: Ctrl-C") })
        #expect(owner.isRunning)
        #expect(owner.printed.contains("lifetime  process: until its owner ends\n"))
        owner.signal(SIGINT)
        #expect(try await owner.outcome().code == 128 + SIGINT)
        await daemon.stop()
    }

    @Test("with the connection as the owner it ends with it, and says so")
    @LoopActor func connection() async throws {
        let daemon = try ScriptedDaemon()
        daemon.on(Claims.Claim.self) { (_) async in .init(claim: .ofCard(lifetime: .connection)) }
        let owner = try daemon.start("claim", "01:00.0", "--lifetime", "connection")
        #expect(await eventually(within: 60) { owner.complained.contains("as long as this connection") })
        #expect(owner.isRunning)
        await daemon.stop()
        let outcome = try await owner.outcome()
        #expect(outcome.code == 1)
        #expect(outcome.errors.contains("the daemon closed the connection, and with it the claim is over"))
    }
}

@Suite("A command behind vfiogroupctl claim --", .timeLimit(.minutes(15)))
struct OwnedProgramTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// A daemon that hands an iommufd and two cdevs over, each a pipe with its name in it.
    @LoopActor private func handingOver() throws -> ScriptedDaemon {
        let daemon = try ScriptedDaemon()
        daemon.on(Claims.Claim.self) { (call) async throws(ErrorReply) in
            var indices: [Int] = []
            for text in ["an iommufd", "a card", "a sound"] {
                guard let descriptor = try? pipe(holding: text + "\n") else { throw .invalidParameter("pipe") }
                indices.append(try call.attach(descriptor))
            }
            return .init(
                claim: .ofCard(lifetime: .process),
                handover: .init(
                    access: .bound, iommufd: indices[0], ioas: 1,
                    devices: [
                        .init(address: card, descriptor: indices[1]), .init(address: sound, descriptor: indices[2]),
                    ],
                    groups: [], leftOut: [], nodes: []))
        }
        return daemon
    }

    @Test("inherits what was handed over, finds its numbers, and its exit code is passed on")
    @LoopActor func descriptors() async throws {
        let daemon = try handingOver()
        let script = """
            echo "$VFIOGROUPD_HANDOVER"
            for n in $(echo "$VFIOGROUPD_HANDOVER" | grep -oE '"(iommufd|descriptor)":[0-9]+' | cut -d: -f2); do
                cat /proc/self/fd/$n
            done
            exit 7
            """
        let outcome = try await daemon.control(
            "claim", "01:00.0", "--access", "bound", "--", "/bin/sh", "-c", script)
        #expect(outcome.code == 7, "\(outcome.errors)")
        let lines = outcome.output.split(separator: "\n").map(String.init)
        try #require(lines.count == 4, "\(outcome.output)")
        let handover = try Claims.Handover(reading: try JSONValue(parsing: lines[0]), .reply)
        #expect(handover.access == .bound)
        #expect(handover.ioas == 1)
        #expect(handover.devices.map(\.address) == [card, sound])
        #expect(Set([handover.iommufd ?? 0] + handover.devices.map(\.descriptor)).filter { $0 > 2 }.count == 3)
        #expect(lines[1...] == ["an iommufd", "a card", "a sound"])
        #expect(outcome.errors.hasPrefix("claim     c1"))
        #expect(daemon.calls.first?.contains(#""lifetime":"process","access":"bound""#) == true)
        await daemon.stop()
    }

    @Test("without descriptors finds none")
    @LoopActor func nothing() async throws {
        let daemon = try ScriptedDaemon()
        daemon.on(Claims.Claim.self) { (_) async in .init(claim: .ofCard()) }
        let outcome = try await daemon.control(
            "claim", "01:00.0", "--", "/bin/sh", "-c", "echo \"${VFIOGROUPD_HANDOVER-none}\"")
        #expect(outcome.code == 0)
        #expect(outcome.output == "none\n")
        await daemon.stop()
    }

    @Test("is told to end when its owner is, and outlives Ctrl-C if it likes to")
    @LoopActor func signals() async throws {
        let daemon = try handingOver()
        let owner = try daemon.start(
            "claim", "01:00.0", "--", "/bin/sh", "-c",
            "trap 'echo ending; exit 3' TERM; echo ready; while :; do sleep 0.1; done")
        #expect(await eventually(within: 60) { owner.printed == "ready\n" })
        owner.signal(SIGINT)
        owner.signal(SIGTERM)
        let outcome = try await owner.outcome()
        #expect(outcome.output == "ready\nending\n")
        #expect(outcome.code == 3)
        await daemon.stop()
    }

    @Test("that was killed, or is not there, is told by the exit code as a shell does")
    @LoopActor func endings() async throws {
        let daemon = try handingOver()
        #expect(try await daemon.control("claim", "01:00.0", "--", "/bin/sh", "-c", "kill -9 $$").code == 137)
        let missing = try await daemon.control("claim", "01:00.0", "--", "/nonexistent")
        #expect(missing.code == 127)
        #expect(missing.errors.contains("/nonexistent: No such file or directory"))
        #expect(try await daemon.control("claim", "01:00.0", "--", "/etc/passwd").code == 126)
        await daemon.stop()
    }

    @Test("is not run when the reply speaks of a descriptor that did not come")
    @LoopActor func missingDescriptor() async throws {
        let daemon = try ScriptedDaemon()
        daemon.on(Claims.Claim.self) { (_) async in
            .init(
                claim: .ofCard(),
                handover: .init(access: .bound, iommufd: 4, devices: [], groups: [], leftOut: [], nodes: []))
        }
        let outcome = try await daemon.control("claim", "01:00.0", "--", "/bin/echo", "ran")
        #expect(outcome.code == 1)
        #expect(outcome.output.isEmpty)
        #expect(outcome.errors.contains("descriptor 4, which did not come with it"))
        await daemon.stop()
    }
}
