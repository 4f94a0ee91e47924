import CLinux
import EventLoop
import Glibc
import Testing
import Varlink

@Suite("The client", .timeLimit(.minutes(15)))
struct ClientTests {
    @Test("Calls, errors and streams follow each other on one connection")
    @LoopActor func calls() async throws {
        let server = try await TestServer.start()
        let client = try await VarlinkClient.connect(to: server.path)
        #expect(try await client.call(Example.Cached.self, .init()).text == Example.cachedText)
        do {
            _ = try await client.call(Example.Fail.self, .init(reason: "why", code: nil))
            Issue.record("no error")
        } catch {
            #expect(error.failure() == Example.Failure.failed(reason: "why", code: nil))
            #expect(error.failure(as: VarlinkService.Failure.self) == nil)
        }
        var numbers: [Int] = []
        for try await reply in try await client.stream(Example.Count.self, .init(limit: 1000)) {
            numbers.append(reply.number)
        }
        #expect(numbers == Array(0..<1000))
        try await client.callOneway(Example.Wait.self, .init(milliseconds: 0))
        #expect(try await client.call(Example.Fill.self, .init(bytes: 3_000_000)).text.utf8.count == 3_000_000)
        await server.stop()
    }

    @Test("Replies with descriptors among others, all unread, are told apart by reading up to each NUL")
    func burst() async throws {
        let server = try await TestServer.start()
        let raw = try server.connect()
        let counts = [3, 1, 0, 2, 5]
        for count in counts {
            raw.send(call("Fill", #"{"bytes":10}"#), call("Descriptors", "{\"count\":\(count)}"))
        }
        raw.send(call("Fill", #"{"bytes":7}"#))
        // When the last reply is there, all are.
        var bytes = [UInt8](repeating: 0, count: 4096)
        #expect(
            eventually {
                bytes[..<max(clinux_peek(raw.descriptor, &bytes, bytes.count), 0)].contains(UInt8(ascii: "x"))
            })
        for expected in counts.flatMap({ [0, $0] }) {
            var end = 0
            #expect(
                eventually {
                    let peeked = clinux_peek(raw.descriptor, &bytes, bytes.count)
                    end = (bytes[..<max(peeked, 0)].firstIndex(of: 0) ?? -1) + 1
                    return end > 0
                })
            var numbers = [Int32](repeating: -1, count: 253)
            var received: UInt32 = 0
            #expect(clinux_receive_descriptors(raw.descriptor, &bytes, end, &numbers, &received) == end)
            #expect(received == expected)
            for number in numbers.prefix(Int(received)) { close(number) }
        }
        #expect(try raw.receive() == #"{"parameters":{"text":"xxxxxxx"}}"#)
        await server.stop()
    }

    @Test("Each reply has its own descriptors")
    @LoopActor func descriptors() async throws {
        let server = try await TestServer.start()
        let client = try await VarlinkClient.connect(to: server.path)
        for count in [253, 0, 1] {
            let (reply, descriptors) = try await client.callReceivingDescriptors(
                Example.Descriptors.self, .init(count: count))
            #expect(reply.indexes == Array(0..<count))
            #expect(descriptors.count == count)
            for index in reply.indexes { #expect(content(descriptors, index) == UInt8(truncatingIfNeeded: index)) }
            #expect(content(descriptors, count) == nil)
        }
        await server.stop()
    }

    private func content(_ descriptors: ReceivedDescriptors, _ index: Int) -> UInt8? {
        guard let descriptor = descriptors.take(index) else { return nil }
        var byte: UInt8 = 0
        return read(descriptor.number, &byte, 1) == 1 ? byte : nil
    }

    @Test("Letting go of a stream closes the connection")
    @LoopActor func abandonedStream() async throws {
        let server = try await TestServer.start()
        let client = try await VarlinkClient.connect(to: server.path)
        do {
            let stream = try await client.stream(Example.Count.self, .init(limit: 100_000_000))
            #expect(try await stream.next()?.number == 0)
            await #expect(throws: ClientError.unusable) { try await client.call(Example.Cached.self, .init()) }
        }
        await #expect(throws: ClientError.unusable) { try await client.call(Example.Cached.self, .init()) }
        #expect(await eventuallyEmpty(server))
        await server.stop()
    }

    @Test("A cancelled call ends at once")
    @LoopActor func cancelled() async throws {
        let server = try await TestServer.start()
        let client = try await VarlinkClient.connect(to: server.path)
        let waiting = EventLoop.main.spawn { () -> ClientError? in
            do throws(ClientError) {
                _ = try await client.call(Example.Wait.self, .init(milliseconds: 3_600_000))
                return nil
            } catch { return error }
        }
        try await EventLoop.main.sleep(for: .milliseconds(5))
        waiting.cancel()
        #expect(await waiting.value == .cancelled)
        await server.stop()
    }

    @Test("Where nobody listens, the error names the path")
    @LoopActor func nobody() async throws {
        try EventLoop.main.runInBackground()
        let path = "/tmp/varlink-test-none"
        await #expect(throws: ClientError.cannotConnect(path: path, errno: ENOENT)) {
            _ = try await VarlinkClient.connect(to: path)
        }
        #expect(
            ClientError.cannotConnect(path: path, errno: ENOENT).description
                == "cannot connect to /tmp/varlink-test-none: No such file or directory")
        let long = "/" + String(repeating: "x", count: 200)
        await #expect(throws: ClientError.cannotConnect(path: long, errno: ENAMETOOLONG)) {
            _ = try await VarlinkClient.connect(to: long)
        }
    }

    @Test(
        "A service that does not keep to the protocol is told from one that is gone",
        arguments: [
            ("garbage\0", false), ("[]\0", false), (#"{"odd":1}"# + "\0", false),
            (#"{"continues":true}"# + "\0", false),
            (#"{"error":"x","continues":true}"# + "\0", false), ("{", false), ("", true),
            (#"{"parameters":{}}"# + "\0", false), (#"{"parameters":{"text":1}}"# + "\0", false),
        ])
    @LoopActor func badService(_ answer: String, _ isGone: Bool) async throws {
        try EventLoop.main.runInBackground()
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        try #require(socketpair(AF_UNIX, type, 0, &ends) == 0)
        let client = VarlinkClient(adopting: Descriptor(owning: ends[0]))
        let bytes = Array(answer.utf8)
        send(ends[1], bytes, bytes.count, 0)
        shutdown(ends[1], Int32(SHUT_WR))
        defer { close(ends[1]) }
        do {
            _ = try await client.call(Example.Cached.self, .init())
            Issue.record("a reply")
        } catch {
            #expect((error == .closed) == isGone)
        }
    }
}
