import Foundation

/// Programs that tests start: those of this package, and others.
enum Program {
    struct Result {
        let code: Int32
        let output: String
        let errors: String
    }

    static let packageFolder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The path of a program of this package: it lies beside the test runner.
    static func path(_ name: String) -> String {
        let runner = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: runner).deletingLastPathComponent().appendingPathComponent(name).path
    }

    /// Runs a program of this package, or one given by its path, to its end; it is killed after 30 seconds.
    static func run(_ program: String, _ arguments: [String]) throws -> Result {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program.hasPrefix("/") ? program : path(program))
        process.arguments = arguments
        process.currentDirectoryURL = packageFolder
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let pid = process.processIdentifier
        let watchdog = DispatchWorkItem { kill(pid, SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + 30, execute: watchdog)
        defer { watchdog.cancel() }
        // What these programs complain fits into a pipe; what they print may not.
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let complaint = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Result(
            code: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
            errors: String(decoding: complaint, as: UTF8.self))
    }
}

/// A running varlink-certification, ended with this object.
final class CertificationServer {
    let path: String
    let pid: Int32
    private let process = Process()

    init() throws {
        path = "/tmp/varlink-certification-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock"
        process.executableURL = URL(fileURLWithPath: Program.path("varlink-certification"))
        process.arguments = ["--varlink=unix:\(path)"]
        try process.run()
        pid = process.processIdentifier
        _ = eventually { (try? RawClient(path)) != nil }
    }

    /// Asks it to end; its exit code.
    func end() -> Int32 {
        kill(pid, SIGTERM)
        process.waitUntilExit()
        return process.terminationStatus
    }

    deinit { if process.isRunning { kill(pid, SIGKILL) } }

    /// The threads of the process.
    var threads: Int { (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task").count) ?? 0 }

    /// The process's resident memory.
    var residentBytes: Int {
        let counts = (try? String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8)) ?? ""
        return (Int(counts.split(separator: " ").dropFirst().first ?? "") ?? 0) * 4096
    }
}
