import CLinux
import EventLoop
import Foundation
import Glibc
import JSON
import Testing

@testable import Varlink

// "What attackers try", row by row, over a real socket.
@Suite("What attackers try", .timeLimit(.minutes(15)))
struct AttackTests {
    @Test("A call without end is cut off at the limit", arguments: [4096, 1024 * 1024])
    func endless(limit: Int) async throws {
        var limits = ServerLimits()
        limits.callBytes = limit
        let server = try await TestServer.start(limits)
        let client = try server.connect()
        client.send([UInt8](repeating: UInt8(ascii: " "), count: limit + 128 * 1024))
        #expect(try client.isClosedWithoutReply())
        #expect(server.log.value.malformed == [.messageTooLong(limit: limit)])
        await server.stop()
    }

    @Test("The longest call allowed is answered, one byte more is not")
    func limit() async throws {
        var limits = ServerLimits()
        limits.callBytes = 1000
        let server = try await TestServer.start(limits)
        let client = try server.connect()
        #expect(try client.call(getInfo + String(repeating: " ", count: 1000 - getInfo.utf8.count)) != nil)
        client.send(getInfo + String(repeating: " ", count: 1001 - getInfo.utf8.count))
        #expect(try client.isClosedWithoutReply())
        await server.stop()
    }

    static let garbage: [[UInt8]] =
        [
            "", " ", "garbage", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\0AUTH EXTERNAL 30\r\n", "null", "[]", "1",
            "\"x\"",
            "true", "{}", getInfo + " x", getInfo + getInfo, "// x\n" + getInfo, "/* x */" + getInfo,
            "\u{FEFF}" + getInfo,
            #"{"method":"x\ud800"}"#, #"{"method":"x\u0000"}"#, #"{"method":"a.B","parameters":{"x":NaN}}"#,
            #"{"method":"a.B","parameters":{"x":01}}"#, #"{"method":"a.B","parameters":{"x":+1}}"#,
            #"{"method":"a.B","parameters":{"x":.5}}"#, #"{"method":"a.B","parameters":{"x":0x10}}"#,
            #"{"method":"a.B","parameters":{"x":Infinity}}"#, #"{"method":"a.B","method":"a.B"}"#,
            #"{"method":"a.B","parameters":{},"parameters":{}}"#, #"{"method":"a.B","x.y":1,"x.y":1}"#,
            #"{"method":"a.B","more":true,"more":true}"#, #"{"parameters":{}}"#, #"{"method":1}"#, #"{"method":null}"#,
            #"{"method":"a.B","parameters":[]}"#, #"{"method":"a.B","parameters":1}"#, #"{"method":"a.B","more":1}"#,
            #"{"method":"a.B","more":"true"}"#, #"{"method":"a.B","oneway":null}"#, #"{"method":"a.B","unknown":1}"#,
            #"{"method":"a.B","more":true,"oneway":true}"#, #"{"method":"a.B","more":true,"upgrade":true}"#,
            #"{"method":"a.B","oneway":true,"upgrade":true}"#,
        ].map { Array($0.utf8) } + [
            [0x16, 0x03, 0x01, 0x02, 0x00], [0xFF, 0xFE, 0x7B, 0x00],
            Array(#"{"method":""#.utf8) + [0xC0, 0x80] + Array("\"}".utf8),
            Array(#"{""#.utf8) + [0xFF] + Array(#"":1,"method":"a.B"}"#.utf8),
        ]

    @Test("What is no Varlink is answered by closing, after what came before it was answered", arguments: garbage)
    func malformed(_ message: [UInt8]) async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        #expect(try client.call(getInfo) != nil)
        client.send(Array(getInfo.utf8) + [0] + message + [0] + Array(getInfo.utf8) + [0])
        #expect(try client.receive() != nil)
        #expect(try client.isClosedWithoutReply())
        #expect(server.log.value.malformed.count == 1)
        #expect(try server.connect().call(getInfo) != nil)
        await server.stop()
    }

    @Test(
        "Numbers that nothing can hold are an invalid parameter, and the connection stays",
        arguments: [
            "1e309", "-1e309", "9223372036854775808", "18446744073709551616", "-9223372036854775809",
            String(repeating: "9", count: 100_000), "1.0", "1.5", "1e2", "true", "\"1\"", "[]", "{}", "null",
        ])
    func numbers(_ number: String) async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        let reply = try client.call(call("Fill", "{\"bytes\":\(number)}"))
        #expect(reply == #"{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"bytes"}}"#)
        #expect(try client.call(call("Fill", #"{"bytes":3}"#)) == #"{"parameters":{"text":"xxx"}}"#)
        await server.stop()
    }

    @Test("Nesting deeper than the limit closes", arguments: [2100, 300_000])
    func nesting(_ depth: Int) async throws {
        let server = try await TestServer.start()
        for (open, close) in [("[", "]"), (#"{"a":"#, "}")] where depth * open.count < 900_000 {
            let client = try server.connect()
            let nested = String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
            client.send(call("Echo", "{\"everything\":\(nested)}"))
            #expect(try client.isClosedWithoutReply())
        }
        await server.stop()
    }

    @Test("Duplicate parameters are an invalid parameter")
    func duplicateParameters() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        let reply = try client.call(call("Fill", #"{"bytes":1,"bytes":2}"#))
        #expect(reply == #"{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"bytes"}}"#)
        #expect(try client.call(getInfo) != nil)
        await server.stop()
    }

    @Test("A hundred thousand keys and a million elements are refused at once")
    func masses() async throws {
        let server = try await TestServer.start()
        let keys = (0..<100_000).map { "\"\($0)\":0" }.joined(separator: ",")
        let elements = "[" + String(repeating: "0,", count: 500_000) + "0]"
        for parameters in ["{\(keys)}", "{\"everything\":\(elements)}"] {
            let client = try server.connect()
            // Other tests have the loop too: what a call takes beside them is no fault of these.
            let limit = try .seconds(2) + latency(of: server) * 20
            let start = MonotonicTime.now
            client.send(call("Echo", parameters))
            #expect(try client.isClosedWithoutReply())
            #expect(MonotonicTime.now < start + limit)
        }
        // Within the limit, but far more than is declared: an error, and no time either.
        let fewer = (0..<60_000).map { "\"\($0)\":0" }.joined(separator: ",")
        let limit = try .seconds(2) + latency(of: server) * 20
        let start = MonotonicTime.now
        #expect(try server.connect().call(call("Echo", "{\(fewer)}"))?.contains("InvalidParameter") == true)
        #expect(MonotonicTime.now < start + limit)
        await server.stop()
    }

    /// How long a small call takes now.
    private func latency(of server: TestServer) throws -> Duration {
        let start = MonotonicTime.now
        #expect(try server.connect().call(getInfo) != nil)
        return .nanoseconds(MonotonicTime.now.nanoseconds - start.nanoseconds)
    }

    @Test("A megabyte of method name is not sent back")
    func longName() async throws {
        let server = try await TestServer.start()
        let long = String(repeating: "x", count: 1_000_000)
        for method in [long, "org.example.test.\(long)", "\(long).X", "org.varlink.service.\(long)"] {
            let reply = try server.connect().call("{\"method\":\"\(method)\"}")
            #expect((reply?.utf8.count ?? 0) < 500)
            #expect(reply?.contains("NotFound") == true)
        }
        let client = try server.connect()
        let reply = try client.call(call("Wait", "{\"\(long)\":1}"))
        #expect((reply?.utf8.count ?? 0) < 500)
        await server.stop()
    }

    @Test("A hundred thousand calls, not read, stop at the kernel's buffers; all are answered once they are read")
    func unreadPipeline() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        let call = Array((call("Cached") + "\0").utf8)
        let total = 100_000
        let sender = Thread {
            let burst = [UInt8]([[UInt8]](repeating: call, count: 1000).joined())
            for _ in 0..<(total / 1000) { client.send(burst) }
        }
        sender.start()
        // The server's own buffer and the kernel's hold a few thousand of these replies, whatever is asked.
        #expect(eventually { server.log.value.handled > 100 })
        #expect(await eventually(on: server) { $0.waitsForItsClient })
        #expect(server.log.value.handled < 5_000)
        #expect(try server.connect().call(getInfo) != nil)
        #expect(try client.receiveCount(total) == total)
        await server.stop()
    }

    @Test("A stream whose reader is slow waits for it, and keeps nobody else waiting")
    func slowStream() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        client.send(call("Count", #"{"limit":200000}"#, #""more":true"#))
        #expect(await eventually(on: server) { $0.waitsForItsClient })
        #expect(server.log.value.counted < 50_000)
        #expect(try server.connect().call(getInfo) != nil)
        #expect(try client.receiveCount(200_000) == 200_000)
        await server.stop()
    }

    @Test("Sixty thousand replies of one handler leave others their turn")
    func longStream() async throws {
        let server = try await TestServer.start()
        let greedy = try server.connect()
        let reader = Thread { _ = try? greedy.receiveCount(60_000) }
        let other = try server.connect()
        #expect(try other.call(getInfo) != nil)
        greedy.send(call("Count", #"{"limit":60000}"#, #""more":true"#))
        reader.start()
        var answeredMeanwhile = 0
        while server.log.value.clientsGone == 0 {
            let start = MonotonicTime.now
            #expect(try other.call(getInfo) != nil)
            #expect(MonotonicTime.now < start + .seconds(10))
            if server.log.value.clientsGone == 0, server.log.value.counted > 0 { answeredMeanwhile += 1 }
        }
        #expect(answeredMeanwhile > 10)
        await server.stop()
    }

    @Test("The calls of a client that has vanished are dropped")
    func vanished() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        let slow = Array((call("Wait", #"{"milliseconds":1}"#) + "\0").utf8)
        var limit = timeval(tv_sec: 0, tv_usec: 100_000)
        setsockopt(client.descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        client.send([UInt8]([[UInt8]](repeating: slow, count: 10_000).joined()))
        #expect(eventually { server.log.value.handled > 2 })
        client.close()
        #expect(await eventuallyEmpty(server))
        #expect(server.log.value.handled < 5_000)
        #expect(server.log.value.clientsGone <= 1)
        await server.stop()
    }

    @Test("Calls oneway of a client that has closed are still made")
    func onewayThenClose() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        for _ in 0..<50 { client.send(call("Cached", nil, #""oneway":true"#)) }
        client.close()
        #expect(eventually { server.log.value.handled == 50 })
        await server.stop()
    }

    @Test("A stream ends when its client is gone, and so does a call that waits")
    func goneInCall() async throws {
        let server = try await TestServer.start()
        let stream = try server.connect()
        stream.send(call("Count", #"{"limit":100000000}"#, #""more":true"#))
        #expect(try stream.receive() != nil)
        let waiting = try server.connect()
        waiting.send(call("Wait", #"{"milliseconds":3600000}"#))
        #expect(eventually { server.log.value.handled == 1 })
        stream.close()
        waiting.close()
        #expect(eventually { server.log.value.clientsGone == 2 })
        #expect(await eventuallyEmpty(server))
        await server.stop()
    }

    @Test("A client that closes its sending side only is answered, then comes the end")
    func halfClose() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        client.send(getInfo, call("Wait", #"{"milliseconds":20}"#), call("Fill", #"{"bytes":1000000}"#))
        shutdown(client.descriptor, Int32(SHUT_WR))
        #expect(try client.receive() != nil)
        #expect(try client.receive() == "{}")
        #expect(try client.receive()?.utf8.count ?? 0 > 1_000_000)
        #expect(try client.isClosedWithoutReply())
        await server.stop()
    }

    @Test("Out-of-band bytes, and descriptors that nobody asked for, do no harm")
    func unasked() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        // Whoever kept the writing end that is sent along would keep the reading end from seeing the end.
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0)
        defer { close(ends[0]) }
        let message = Array((getInfo + "\0").utf8)
        var sent = 0
        for _ in 0..<50 {
            // Its own socket among them: a cycle, if they were kept.
            let descriptors: [Int32] = [0, client.descriptor, ends[1]]
            let count = clinux_send_descriptors(client.descriptor, message, message.count, descriptors, 3)
            // Kernels with SO_PASSRIGHTS refuse them at the sender.
            #expect(count == message.count || count == -Int(EPERM))
            if count > 0 { sent += 1 }
        }
        for _ in 0..<sent { #expect(try client.receive() != nil) }
        #expect(try client.call(getInfo) != nil)
        close(ends[1])
        var byte: UInt8 = 0
        #expect(eventually { read(ends[0], &byte, 1) == 0 })
        let urgent = try server.connect()
        urgent.send([0x21], flags: Int32(MSG_OOB))
        urgent.send(getInfo)
        _ = try? urgent.receive()
        #expect(try server.connect().call(getInfo) != nil)
        await server.stop()
    }

    @Test("The backlog takes 129 connections while the server is busy")
    func backlog() async throws {
        let server = try await TestServer.start()
        let gate = DispatchSemaphore(value: 0)
        EventLoop.main.submit { gate.wait() }
        var clients: [RawClient] = []
        defer { gate.signal() }
        for _ in 0..<129 { clients.append(try server.connect()) }
        #expect(clients.count == 129)
    }
}

/// Whether the server comes to have no connection.
func eventuallyEmpty(_ server: TestServer) async -> Bool { await eventually(on: server) { $0.connectionCount == 0 } }

/// Looks at the server on its loop until a condition holds; false when it has not within a minute.
@LoopActor
func eventually(on server: TestServer, _ condition: @LoopActor (VarlinkServer) -> Bool) async -> Bool {
    let deadline = MonotonicTime.now + .seconds(60)
    while !condition(server.server) {
        guard .now < deadline else { return false }
        try? await EventLoop.main.sleep(for: .milliseconds(1))
    }
    return true
}

extension VarlinkServer {
    /// Somebody waits for a client to read what it was sent: nothing more is handled for that client until it does.
    var waitsForItsClient: Bool { connections.values.contains { !$0.drain.waiters.isEmpty } }
}
