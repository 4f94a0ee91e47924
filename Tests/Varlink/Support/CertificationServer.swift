import Foundation
import TestSupport

/// A running varlink-certification, ended with this object.
final class CertificationServer: Sendable {
    let path = "/tmp/varlink-certification-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock"
    private let program: Program
    var pid: Int32 { program.pid }

    init() async throws {
        program = try Program("varlink-certification", ["--varlink=unix:\(path)"])
        _ = await eventually(within: 60) { (try? RawClient(path)) != nil }
    }

    /// Asks it to end; its exit code.
    func end() async throws -> Int32 {
        program.signal(SIGTERM)
        return try await program.outcome().code
    }

    /// The threads of the process.
    var threads: Int { (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task").count) ?? 0 }

    /// The process's resident memory.
    var residentBytes: Int {
        let counts = (try? String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8)) ?? ""
        return (Int(counts.split(separator: " ").dropFirst().first ?? "") ?? 0) * 4096
    }
}
