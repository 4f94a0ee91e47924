// What the service manager is given to keep, and that it has done what it was told. A datagram socket stands in for it.

import CLinux
import EventLoop
import Foundation
import Testing

@testable import Systemd

/// Does something on the event loop, which runs in the background.
@LoopActor
private func run<Value: Sendable>(_ body: @LoopActor () async throws -> Value) async throws -> Value {
    try await body()
}

@discardableResult
func onLoop<Value: Sendable>(_ body: @LoopActor () async throws -> Value) async throws -> Value {
    try EventLoop.main.runInBackground()
    return try await run(body)
}

@Suite("The store of descriptors", .timeLimit(.minutes(15)))
struct StoreTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// What the manager received: a text, and a descriptor that the caller closes.
    private func receive(_ socket: LocalSocket) -> (text: String, descriptor: Int32?)? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        var descriptors = [Int32](repeating: -1, count: 253)
        var count: UInt32 = 0
        let n = clinux_receive_descriptors(socket.descriptor, &bytes, bytes.count, &descriptors, &count)
        guard n >= 0 else { return nil }
        return (String(decoding: bytes[..<n], as: UTF8.self), count == 1 ? descriptors[0] : nil)
    }

    @LoopActor
    private func store(of socket: LocalSocket, patience: Duration = .seconds(3600)) -> ManagerStore {
        ManagerStore(NotifySocket(address: socket.path), patience: patience)
    }

    @Test("keeps a copy by its name, whatever its peer does, until it is told to drop it")
    @LoopActor func keeps() async throws {
        let socket = try LocalSocket(SOCK_DGRAM)
        let store = store(of: socket)
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        try await store.keep(ends[0], as: "claim-1.owner")
        store.drop("claim-1.owner")
        let kept = try #require(receive(socket))
        #expect(kept.text == "FDSTORE=1\nFDPOLL=0\nFDNAME=claim-1.owner")
        let copy = try #require(kept.descriptor)
        defer { close(copy) }
        var (mine, stored) = (stat(), stat())
        #expect(fstat(ends[0], &mine) == 0 && fstat(copy, &stored) == 0 && mine.st_ino == stored.st_ino)
        #expect(receive(socket)?.text == "FDSTOREREMOVE=1\nFDNAME=claim-1.owner")
    }

    @Test(
        "takes no name that systemd would not take",
        arguments: ["", "a:b", "\u{e9}", String(repeating: "x", count: 256)])
    @LoopActor func names(_ name: String) async throws {
        let socket = try LocalSocket(SOCK_DGRAM)
        let store = store(of: socket)
        await #expect(throws: DescriptorStoreError.self) { try await store.keep(0, as: name) }
        #expect(receive(socket) == nil)
    }

    @Test("is settled when the manager has taken in all that came before, and not sooner")
    @LoopActor func settles() async throws {
        let socket = try LocalSocket(SOCK_DGRAM)
        let store = store(of: socket)
        store.drop("x")
        var isSettled = false
        let settling = EventLoop.main.spawn {
            try? await store.settle()
            isSettled = true
        }
        for _ in 0..<10 { await EventLoop.main.yield() }
        #expect(!isSettled)
        #expect(receive(socket)?.text == "FDSTOREREMOVE=1\nFDNAME=x")
        let barrier = try #require(receive(socket))
        #expect(barrier.text == "BARRIER=1")
        for _ in 0..<10 { await EventLoop.main.yield() }
        #expect(!isSettled)
        close(try #require(barrier.descriptor))
        await settling.value
        #expect(isSettled)
    }

    @Test("does not wait for ever: neither for an answer, nor for room")
    @LoopActor func stuck() async throws {
        let socket = try LocalSocket(SOCK_DGRAM)
        let store = store(of: socket, patience: .milliseconds(20))
        await #expect(throws: DescriptorStoreError.self) { try await store.settle() }
        var failure: DescriptorStoreError?
        for number in 0..<2000 where failure == nil {
            do { try await store.keep(socket.descriptor, as: "\(number)") } catch { failure = error }
        }
        #expect(failure?.reason.contains("timed out") == true, "\(String(describing: failure))")
        // What was given up on is not sent afterwards.
        var names: [String] = []
        while let message = receive(socket) {
            if let descriptor = message.descriptor { close(descriptor) }
            names.append(message.text)
        }
        try await store.keep(socket.descriptor, as: "last")
        let last = try #require(receive(socket))
        #expect(last.text.hasSuffix("FDNAME=last"))
        if let descriptor = last.descriptor { close(descriptor) }
        #expect(Set(names).count == names.count)
    }
}
