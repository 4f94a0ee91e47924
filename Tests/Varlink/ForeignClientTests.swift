import Foundation
import Testing
import TestSupport
import Varlink

@Suite("Other people's clients", .timeLimit(.minutes(15)))
struct ForeignClientTests {
    @Test("PyPI varlink introspects and calls")
    func commandLine() async throws {
        guard let python = Program.python else { return }
        let server = try await TestServer.start()
        func run(_ arguments: String...) async throws -> Program.Outcome {
            try await Program.run(python, ["-m", "varlink.cli"] + arguments)
        }
        let info = try await run("info", "unix:\(server.path)")
        #expect(info.output.contains("Vendor: Test"))
        #expect(info.output.contains("org.example.test"))
        let help = try await run("help", "unix:\(server.path)/org.example.test")
        #expect(help.output.contains("method Echo"))
        let call = try await run("call", "unix:\(server.path)/org.example.test.Fill", #"{"bytes":3}"#)
        #expect(call.output == "{\n  \"text\": \"xxx\"\n}\n")
        let more = try await run("call", "--more", "unix:\(server.path)/org.example.test.Count", #"{"limit":3}"#)
        #expect(more.output.split(separator: "\n").filter { $0.contains("number") }.count == 3)
        let failure = try await run("call", "unix:\(server.path)/org.example.test.Fail", #"{"reason":"so"}"#)
        #expect(failure.errors.contains("org.example.test.Failed"))
        await server.stop()
    }

    @Test("PyPI varlink's certification client is content")
    func certification() async throws {
        guard let python = Program.python else { return }
        let server = try await CertificationServer()
        let result = try await Program.run(
            python, ["-m", "varlink.tests.test_certification", "--client", "--varlink=unix:\(server.path)"])
        #expect(result.output.hasSuffix("Certification passed\n"), "\(result.output)\(result.errors)")
        #expect(try await server.end() == 0)
    }
}

@Suite("A server process", .timeLimit(.minutes(15)))
struct ServerProcessTests {
    @Test("It stays one thread under load, and ends on SIGTERM")
    func oneThread() async throws {
        let server = try await CertificationServer()
        let start = #"{"method":"org.varlink.certification.Start"}"#
        var clients = try (0..<64).map { _ in try RawClient(server.path) }
        for round in 0..<50 {
            for client in clients { client.send(start, start, #"{"method":"garbage.X"}"#) }
            for client in clients { for _ in 0..<3 { #expect(try client.receive() != nil) } }
            if round.isMultiple(of: 10) {
                clients.removeLast().close()
                #expect(server.threads == 1)
            }
        }
        #expect(server.threads == 1)
        #expect(try await server.end() == 0)
        #expect(access(server.path, F_OK) != 0)
    }

    @Test("Idle connections keep no large buffers")
    func memory() async throws {
        let server = try await CertificationServer()
        let start = #"{"method":"org.varlink.certification.Start"}"#
        let clients = try (0..<64).map { _ in try RawClient(server.path) }
        for client in clients { #expect(try client.call(start) != nil) }
        let before = server.residentBytes
        for client in clients { #expect(try client.call(start + String(repeating: " ", count: 500_000)) != nil) }
        // Calls that were kept would be 32 megabytes.
        #expect(server.residentBytes - before < 8_000_000)
        #expect(try await server.end() == 0)
    }
}
