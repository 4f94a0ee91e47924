// Watching: the events, and the ways in which a watch ends.

import Foundation
import GroupAPI
import Testing
import TestSupport
import VFIOGroupClient

@Suite("The client's monitor", .timeLimit(.minutes(10)))
struct MonitorTests {
    @Test("sees what others do, in order")
    func events() async throws {
        let daemon = try await RunningDaemon()
        let client = daemon.client
        var seen: [GroupEvent] = []
        for try await event in client.monitor() {
            seen.append(event)
            if event.kind == .ready {
                let claim = try await client.claim(.device(.pci("0000:05:00.0")), name: "watched")
                try await claim.release()
            }
            if event.kind == .claimRemoved { break }
        }
        #expect(seen.first?.kind == .ready)
        #expect(seen.first?.kindName == "ready")
        let claim = try #require(seen.first { $0.kind == .claimAdded }?.claim)
        #expect(seen.last?.claim == claim)
        #expect(seen.contains { $0.kind == .memberDriverChanged && $0.device == .pci("0000:05:00.0") })
        #expect(seen.map(\.generation) == seen.map(\.generation).sorted())
        try await daemon.stop()
    }

    @Test("leaving the loop closes the call")
    func leaving() async throws {
        let daemon = try await RunningDaemon()
        let idle = await daemon.socketsWithoutClients()
        for try await event in daemon.client.monitor() {
            #expect(event.kind == .ready)
            #expect(await daemon.has(sockets: idle + 1))
            break
        }
        #expect(await daemon.has(sockets: idle))
        try await daemon.stop()
    }

    @Test("cancelling the task closes the call, and nothing comes after it")
    func cancelling() async throws {
        let daemon = try await RunningDaemon()
        let idle = await daemon.socketsWithoutClients()
        let client = daemon.client
        let isReady = Shared(false)
        let task = Task {
            var events = client.monitor().makeAsyncIterator()
            await #expect(throws: CancellationError.self) {
                while let event = try await events.next() { if event.kind == .ready { isReady.value = true } }
            }
            return try await events.next()
        }
        #expect(await eventually(within: 60) { isReady.value })
        #expect(await daemon.has(sockets: idle + 1))
        task.cancel()
        #expect(try await task.value == nil)
        #expect(await daemon.has(sockets: idle), "the daemon sees that the client is gone")
        try await daemon.stop()
    }

    @Test("several watch at the same time, each with a call of its own")
    func several() async throws {
        let daemon = try await RunningDaemon()
        let client = daemon.client
        let ready = Shared(0)
        let watchers = (0..<20).map { _ in
            Task {
                for try await event in client.monitor() {
                    if event.kind == .ready { ready.change { $0 += 1 } }
                    if event.kind == .groupStateChanged { return event.group }
                }
                return nil
            }
        }
        #expect(await eventually(within: 60) { ready.value == 20 })
        #expect(try await daemon.control("simulate", "bind", "01:00.0", "vfio-pci").code == 0)
        for watcher in watchers { #expect(try await watcher.value == "pci0000-00_01.0_00.0") }
        try await daemon.stop()
    }
}
