import CLinux
import EventLoop
import Foundation
import Glibc
import Testing

@testable import Varlink

@Suite("Limits", .timeLimit(.minutes(15)))
struct LimitTests {
    private func limits(connections: Int, perUser: Int, reserve: Int) -> ServerLimits {
        var limits = ServerLimits()
        limits.connections = connections
        limits.connectionsPerUser = perUser
        limits.rootReserve = reserve
        return limits
    }

    @Test("Connections beyond a user's limit are closed at once, and make room again when others go")
    func perUser() async throws {
        let server = try await TestServer.start(limits(connections: 100, perUser: 5, reserve: 0))
        var clients = try (0..<5).map { _ in try server.connect() }
        for client in clients { #expect(try client.call(getInfo) != nil) }
        for _ in 0..<20 { #expect(try server.connect().isClosedWithoutReply()) }
        #expect(server.log.value.refused == 20)
        for client in clients { #expect(try client.call(getInfo) != nil) }
        clients.removeLast().close()
        #expect(eventually { (try? server.connect().call(getInfo)) != .some(nil) })
        await server.stop()
    }

    @Test("When one user has all its connections, others and root are still served")
    func otherUsers() async throws {
        guard getuid() == 0 else { return print("skipped: only root can become another user") }
        let server = try await TestServer.start(limits(connections: 12, perUser: 8, reserve: 2))
        // 1001 gets its 8, 1002 the 2 that are left but for the reserve, root the reserve.
        let first = try Impostor(uid: 1001, connections: 30, path: server.path)
        defer { first.end() }
        #expect(try first.served() == 8)
        let second = try Impostor(uid: 1002, connections: 30, path: server.path)
        defer { second.end() }
        #expect(try second.served() == 2)
        let root = try (0..<2).map { _ in try server.connect() }
        for client in root { #expect(try client.call(getInfo) != nil) }
        #expect(try server.connect().isClosedWithoutReply())
        await server.stop()
    }

    @Test("A reply that is longer than anyone reads is ExpectedMore instead, and the connection stays")
    func replyBytes() async throws {
        var limits = ServerLimits()
        limits.replyBytes = 10_000
        let server = try await TestServer.start(limits)
        let client = try server.connect()
        #expect(try client.call(call("Fill", #"{"bytes":9000}"#))?.contains("xxx") == true)
        #expect(
            try client.call(call("Fill", #"{"bytes":10000}"#)) == #"{"error":"org.varlink.service.ExpectedMore"}"#)
        #expect(try client.call(call("Fill", #"{"bytes":1}"#)) == #"{"parameters":{"text":"x"}}"#)
        await server.stop()
    }

    @Test("A client that leaves its descriptors lying is cut off when its time is over")
    func unreadDescriptors() async throws {
        var limits = ServerLimits()
        limits.unreadDescriptors = 10
        limits.unreadDescriptorTimeout = .milliseconds(300)
        let server = try await TestServer.start(limits)
        let client = try server.connect()
        for _ in 0..<10 { client.send(call("Descriptors", #"{"count":4}"#)) }
        #expect(eventually { server.log.value.malformed.isEmpty && client.hasHungUp() })
        // No more replies than carry the limit's descriptors are there.
        #expect(try client.receiveCount(100) == 2)
        await server.stop()
    }

    @Test("A client that takes its descriptors late but in time gets all of them")
    func lateDescriptors() async throws {
        var limits = ServerLimits.forTests
        limits.unreadDescriptors = 10
        let server = try await TestServer.start(limits)
        let client = try server.connect()
        for _ in 0..<10 { client.send(call("Descriptors", #"{"count":4}"#)) }
        // Two replies carry what the limit allows; the third waits.
        #expect(await eventually(on: server) { $0.unreadDescriptors.values.contains(8) })
        #expect(try client.receiveCount(10) == 10)
        #expect(try client.call(getInfo) != nil)
        await server.stop()
    }
}

extension RawClient {
    func hasHungUp() -> Bool {
        var state = pollfd(fd: descriptor, events: 0, revents: 0)
        poll(&state, 1, 0)
        return state.revents & Int16(POLLHUP) != 0
    }
}

/// Another user who makes many connections, as a process that runs until it is ended.
private final class Impostor {
    private let process = Process()
    private let output = Pipe()

    init(uid: Int, connections: Int, path: String) throws {
        // Connects, asks each connection something, prints how many have answered, and keeps them open.
        let script = """
            import os, socket, sys, time
            os.setgid(\(uid)); os.setuid(\(uid))
            open_, served = [], 0
            for _ in range(\(connections)):
                s = socket.socket(socket.AF_UNIX); s.settimeout(300); s.connect('\(path)'); open_.append(s)
                try:
                    s.sendall(b'{"method":"org.varlink.service.GetInfo"}\\0')
                    served += s.recv(65536) != b''
                except OSError:
                    pass
            print(served, flush=True)
            sys.stdin.read()
            """
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = ["-c", script]
        process.standardInput = Pipe()
        process.standardOutput = output
        try process.run()
    }

    func end() { kill(process.processIdentifier, SIGKILL) }

    func served() throws -> Int? {
        let line = output.fileHandleForReading.availableData
        return Int(String(decoding: line, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines))
    }
}
