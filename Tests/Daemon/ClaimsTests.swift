// Claims in the running daemon, as people and programs make them.

import EventLoop
import Foundation
import GroupAPI
import JSON
import Testing
import TestSupport
import Varlink

@Suite("Claims of the running daemon", .timeLimit(.minutes(10)))
struct DaemonClaimsTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("claim, hotplug, release from the command line, as the README shows it")
    func tour() async throws {
        let daemon = try await RunningDaemon()
        let claimed = try await daemon.control("claim", "01:00.0", "--name", "gaming")
        #expect(claimed.code == 0, "\(claimed.errors)")
        #expect(claimed.output.contains("nouveau        ->  vfio-pci"))
        #expect(try await daemon.control("show", "01:00.0").output.contains("state         claimed"))
        #expect(
            try await daemon.control("simulate", "hotplug", "01:00.2", "--into", "01:00.0", "--driver", "xhci_hcd").code
                == 0)
        let deadline = MonotonicTime.now + .seconds(60)
        var text = ""
        while !text.contains("0000:01:00.2"), .now < deadline {
            text = try await daemon.control("claims", "gaming").output
        }
        #expect(text.contains("0000:01:00.2"))
        let busy = try await daemon.control("claim", "01:00.1")
        #expect(busy.code == 1)
        #expect(busy.errors.contains("\"gaming\""))
        let disk = try await daemon.control("claim", "02:00.0")
        #expect(disk.code == 1)
        #expect(disk.errors.contains("mounted at /"))
        #expect(try await daemon.control("release", "gaming").code == 0)
        let after = try await daemon.control("show", "01:00.0").output
        #expect(after.contains("state         available"))
        #expect(after.contains("nouveau") && after.contains("xhci_hcd"))
        try await daemon.stop()
    }

    @Test("a release in a pipe says within seconds whom it waits for, and status and claims say it, too")
    @LoopActor func waitsAloud() async throws {
        let daemon = try await RunningDaemon()
        let client = try await VarlinkClient.connect(to: daemon.socket)
        let stream = try await client.stream(
            Claims.Claim.self,
            .init(
                selectors: [.init(device: .init(bus: "pci", name: "0000:05:00.0"))], name: "vm", lifetime: .manual,
                access: .bound),
            receivesDescriptors: true)
        var claim: Claims.ClaimStatus?
        while claim == nil, let reply = try await stream.next() { claim = reply.claim }
        let descriptors = stream.descriptors
        #expect(descriptors.count > 0)
        let id = try #require(claim?.id)
        let release = try Program("vfiogroupctl", ["--socket", daemon.socket, "release", "vm"])
        let deadline = MonotonicTime.now + .seconds(60)
        var status = ""
        while !status.contains("is releasing: wait for the owner: 0000:05:00.0 is open"), .now < deadline {
            status = try await daemon.control("status").output
        }
        #expect(status.contains("of \(id) (vm) is releasing: wait for the owner: 0000:05:00.0 is open"))
        #expect(status.contains("it was given to process \(getpid()) ("))
        let shown = try await daemon.control("show", "05:00.0").output
        #expect(shown.contains("\ngoing on      wait for the owner (1 of "))
        #expect(try await daemon.control("claims", "vm").output.contains("it was given to process \(getpid()) ("))
        // What is taken and not kept is closed.
        for index in 0..<descriptors.count { _ = descriptors.take(index) }
        let outcome = try await release.outcome()
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains(": wait for the owner (1 of "))
        #expect(outcome.errors.contains("it was given to process \(getpid()) ("))
        #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
        try await daemon.stop()
    }

    @Test("an unbind that never returns holds nothing up: a thousand claims beside it, and an end within a second")
    @LoopActor func neverReturns() async throws {
        let daemon = try await RunningDaemon()
        #expect(try await daemon.control("simulate", "fault", "unbind", "01:00.0", "--never-returns").code == 0)
        let stuck = try await VarlinkClient.connect(to: daemon.socket)
        let stream = try await stuck.stream(
            Claims.Claim.self,
            .init(selectors: [.init(device: .init(bus: "pci", name: "0000:01:00.0"))], name: "stuck", lifetime: .manual)
        )
        while let progress = try await stream.next()?.progress, progress.operation.action != "unbind" {}
        let client = try await VarlinkClient.connect(to: daemon.socket)
        for _ in 0..<1000 {
            let selector = Claims.Selector(device: .init(bus: "pci", name: "0000:05:00.0"))
            let reply = try await client.call(Claims.Claim.self, .init(selectors: [selector], lifetime: .manual))
            let claim = try #require(reply.claim)
            #expect(try await client.call(Groups.GetGroup.self, .init(id: claim.groups[0].id)).group.state == .claimed)
            #expect(try await client.call(Claims.Release.self, .init(claim: claim.id)).claim?.state == .released)
        }
        let deadline = MonotonicTime.now + .seconds(60)
        var operation: Claims.Operation?
        while operation?.blocked != true, .now < deadline {
            operation = try await client.call(Claims.GetClaim.self, .init(claim: "stuck")).claim.groups.first?.operation
        }
        #expect(operation?.blocked == true)
        let pid = try #require(operation?.pid)
        #expect(kill(pid_t(pid), 0) == 0, "the worker is a process that can be looked at")
        // On a machine that is busy with other tests, as long as a daemon takes that has nothing to wait for.
        let other = try await RunningDaemon()
        let otherTook = try await timeToStop(other)
        let took = try await timeToStop(daemon)
        #expect(took < max(.seconds(1), otherTook * 3), "\(took), and \(otherTook) without a stuck call")
    }

    @LoopActor
    private func timeToStop(_ daemon: RunningDaemon) async throws -> Duration {
        let start = MonotonicTime.now
        #expect(try await daemon.stop().code == 0)
        return .nanoseconds(MonotonicTime.now.nanoseconds - start.nanoseconds)
    }
}
