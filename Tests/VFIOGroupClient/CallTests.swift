// Calls from tasks of all kinds, and what becomes of them when the task is cancelled or the daemon refuses.

import Foundation
import GroupAPI
import Testing
import TestSupport
import VFIOGroupClient

@Suite("Calls of the client", .timeLimit(.minutes(10)))
struct CallTests {
    /// An actor of a program that knows nothing of the loop.
    private actor Launcher {
        func count(_ client: GroupClient) async throws -> Int { try await client.groups().count }
    }

    @Test("plain tasks call at the same time, more of them than a user may have connections")
    func manyTasks() async throws {
        let daemon = try await RunningDaemon()
        let client = daemon.client
        try await withThrowingTaskGroup { group in
            for number in 0..<200 {
                group.addTask {
                    switch number % 4 {
                    case 0: try await client.groups().count == 23
                    case 1: try await client.explain(.device(.pci("0000:01:00.0"))).together
                    case 2: try await client.group(.kernelGroup(2)).id == "pci0000-00_01.0_00.0"
                    default: try await client.claims().isEmpty
                    }
                }
            }
            for try await isRight in group { #expect(isRight) }
        }
        try await daemon.stop()
    }

    @Test("any actor can call")
    func actors() async throws {
        let daemon = try await RunningDaemon()
        let client = daemon.client
        #expect(try await Launcher().count(client) == 23)
        #expect(try await onMainActor(client) == 23)
        #expect(try await Task.detached { try await client.groups().count }.value == 23)
        try await daemon.stop()
    }

    @MainActor private func onMainActor(_ client: GroupClient) async throws -> Int {
        defer { MainActor.assertIsolated() }
        return try await client.groups().count
    }

    @Test("explains what is between two devices, and what keeps them apart")
    func explain() async throws {
        let daemon = try await RunningDaemon()
        let together = try await daemon.client.explain(.pci("0000:05:00.0"), and: .pci("0000:05:01.0"))
        #expect(together.together)
        #expect(together.edges.contains { $0.sentence.contains("0000:04:00.0") })
        let apart = try await daemon.client.explain(.pci("0000:01:00.0"), and: .pci("0000:02:00.0"))
        #expect(!apart.together)
        #expect(!apart.findings.isEmpty)
        #expect(try await daemon.client.explain(.group("pci0000-00_01.0_00.0")).groups == ["pci0000-00_01.0_00.0"])
        try await daemon.stop()
    }

    @Test("what the daemon refuses is an error of its interface")
    func refusals() async throws {
        let daemon = try await RunningDaemon()
        await #expect(throws: GroupClientError.groups(.noSuchGroup(id: "nonsense"))) {
            try await daemon.client.group(.group("nonsense"))
        }
        let error = await #expect(throws: GroupClientError.self) {
            try await daemon.client.claim(.device(.pci("0000:02:00.0")))
        }
        guard case .claims(.inUse(let uses, _))? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(uses.contains { $0.reason.contains("mounted at /") })
        let (plan, needs) = try await daemon.client.plan(
            .init(selectors: [.device(.pci("0000:02:00.0"))], guestMemory: 0))
        #expect(plan.refused && plan.uses == uses && needs?.memlock == 1 << 20)
        #expect(plan.groups.map(\.id) == ["pci0000-00_06.0_00.0"])
        #expect(try await daemon.client.claims().isEmpty)
        await #expect(throws: GroupClientError.claims(.noSuchClaim(claim: "nobody's"))) {
            try await daemon.client.release("nobody's")
        }
        try await daemon.stop()
    }

    @Test("a call of a cancelled task is not made")
    func cancelledBefore() async throws {
        let daemon = try await RunningDaemon()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await daemon.client.groups()
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        try await daemon.stop()
    }

    @Test("cancelling the task of a claim in the middle gives the claim up")
    func cancelledClaim() async throws {
        let daemon = try await RunningDaemon()
        let idle = await daemon.socketsWithoutClients()
        let client = daemon.client
        #expect(try await daemon.control("simulate", "fault", "unbind", "01:00.0", "--never-returns").code == 0)
        let action = Shared("")
        let claim = Task {
            try await client.claim(.init(selectors: [.device(.pci("0000:01:00.0"))])) {
                action.value = $0.operation.action
            }
        }
        #expect(await eventually(within: 60) { action.value == "unbind" })
        #expect(try await client.group(.device(.pci("0000:01:00.0"))).state == .claiming)
        claim.cancel()
        await #expect(throws: CancellationError.self) { try await claim.value }
        #expect(await daemon.has(sockets: idle), "the daemon sees that the client is gone")
        #expect(try await daemon.control("simulate", "release-blocked").code == 0)
        #expect(try await daemon.group(of: "0000:01:00.0", gets: .available))
        #expect(try await client.claims().isEmpty)
        try await daemon.stop()
    }

    @Test("calls that are cancelled at any moment leave nothing behind")
    func cancelledAnywhere() async throws {
        let daemon = try await RunningDaemon()
        let idle = await daemon.socketsWithoutClients()
        let client = daemon.client
        for _ in 0..<20 {
            let tasks = (0..<40).map { _ in Task { try await client.groups().count } }
            for (number, task) in tasks.enumerated() where !number.isMultiple(of: 3) {
                await Task.yield()
                task.cancel()
            }
            for (number, task) in tasks.enumerated() {
                switch await task.result {
                case .success(let count): #expect(count == 23)
                case .failure(let error): #expect(error is CancellationError && !number.isMultiple(of: 3), "\(error)")
                }
            }
        }
        #expect(await daemon.has(sockets: idle))
        #expect(try await client.groups().count == 23)
        try await daemon.stop()
    }
}
