import EventLoop
import Glibc
import JSON
import Synchronization
@testable import Varlink

/// A server of `org.example.test` in this process, on the loop's thread, at a path of its own.
final class TestServer: Sendable {
    /// What the handlers and the server have seen.
    struct Log {
        var handled = 0
        var counted = 0
        var clientsGone = 0
        var malformed: [CloseReason] = []
        var refused = 0
    }

    let path: String
    let server: VarlinkServer
    let log: Shared<Log>

    private static let number = Atomic(0)

    static func start(_ limits: ServerLimits = .forTests) async throws -> TestServer {
        try EventLoop.main.runInBackground()
        let (number, _) = TestServer.number.add(1, ordering: .relaxed)
        return try await TestServer(path: "/tmp/varlink-test-\(getpid())-\(number).sock", limits)
    }

    @LoopActor
    private init(path: String, _ limits: ServerLimits) throws {
        self.path = path
        let log = Shared(Log())
        self.log = log
        server = VarlinkServer(
            .init(vendor: "Test", product: "Tests", version: "1", url: "https://x.org"), limits: limits)
        server.onIncident = { incident in
            log.update { log in
                switch incident {
                case .malformed(_, let reason): log.malformed.append(reason)
                case .tooManyConnections: log.refused += 1
                case .acceptFailed: break
                }
            }
        }
        Example.serve(on: server, log)
        try server.listen(path: path)
    }

    func stop(within grace: Duration = .seconds(1)) async { await server.stop(within: grace) }

    func connect() throws -> RawClient { try RawClient(path) }
}

/// A value that several threads look at.
final class Shared<Value: Sendable>: Sendable {
    private let storage: Mutex<Value>
    init(_ value: Value) { storage = Mutex(value) }
    var value: Value { storage.withLock { $0 } }
    func update(_ body: @Sendable (inout Value) -> Void) { storage.withLock { body(&$0) } }
}

extension Example {
    /// Has `Wait` last until the server stops to listen.
    static let untilStopped = -1
    static let cachedText = String(repeating: "cached ", count: 80)

    @LoopActor
    static func serve(on server: VarlinkServer, _ log: Shared<TestServer.Log>) {
        server.add(interface)
        let cached: [UInt8] = {
            var writer = JSONWriter()
            Cached.Reply(text: cachedText).write(to: &writer)
            return writer.bytes
        }()
        server.answer(Cached.self) { _ in
            log.update { $0.handled += 1 }
            return Answer(encoded: cached)
        }
        server.handle(Echo.self) { call in .init(everything: call.parameters.everything) }
        server.handle(Fill.self) { (call) throws(ErrorReply) in
            guard (0...100_000_000).contains(call.parameters.bytes) else { throw .invalidParameter("bytes") }
            return .init(text: String(repeating: "x", count: call.parameters.bytes))
        }
        server.handle(Wait.self) { (call) async throws(ErrorReply) in
            call.onClientGone { log.update { $0.clientsGone += 1 } }
            log.update { $0.handled += 1 }
            do {
                if call.parameters.milliseconds == untilStopped {
                    while !server.listeners.isEmpty { try await EventLoop.main.sleep(for: .milliseconds(1)) }
                }
                try await EventLoop.main.sleep(for: .milliseconds(max(call.parameters.milliseconds, 0)))
            } catch { throw .clientGone }
            return .init()
        }
        server.handle(Count.self) { (call) async throws(ErrorReply) in
            try call.requireMore()
            defer { log.update { $0.clientsGone += 1 } }
            for number in 0..<max(call.parameters.limit - 1, 0) {
                try await call.send(.init(number: number))
                log.update { $0.counted += 1 }
            }
            return .init(number: call.parameters.limit - 1)
        }
        server.handle(Descriptors.self) { (call) throws(ErrorReply) in
            .init(
                indexes: try (0..<call.parameters.count).map { (index) throws(ErrorReply) in
                    try call.attach(Descriptor(owning: pipeHolding(index)))
                })
        }
        server.handle(Fail.self) { (call) throws(ErrorReply) in
            throw ErrorReply(Failure.failed(reason: call.parameters.reason, code: call.parameters.code))
        }
    }

    /// The reading end of a pipe from which one byte can be read.
    private static func pipeHolding(_ index: Int) -> Int32 {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return -1 }
        var byte = UInt8(truncatingIfNeeded: index)
        write(ends[1], &byte, 1)
        close(ends[1])
        return ends[0]
    }
}

/// Waits for something that another thread does; false when it has not happened within `limit`.
func eventually(within limit: Duration = .seconds(60), _ condition: () -> Bool) -> Bool {
    let deadline = MonotonicTime.now + limit
    while !condition() {
        guard .now < deadline else { return false }
        usleep(1000)
    }
    return true
}

extension ServerLimits {
    /// A client of a test shares the one loop with the server and with all other tests, and may not have its turn for a
    /// minute: only the tests of the time limit are to meet it.
    static var forTests: ServerLimits {
        var limits = ServerLimits()
        limits.unreadDescriptorTimeout = .seconds(600)
        return limits
    }
}
