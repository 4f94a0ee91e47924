// Running the programs of the package as their users do. Foundation's Process is not used: programs that are started at
// the same time inherit each other's pipes there, and an end of output is not seen before the last of them has ended.

import Foundation
import Synchronization

/// A program that runs, with what it has printed so far.
public final class Program: Sendable {
    /// What a program left behind when it ended.
    public struct Outcome: Sendable {
        /// Its exit code; 128 and the signal's number when a signal ended it; -1 when it had to be killed.
        public var code: Int32
        public var output: String
        public var errors: String
    }

    /// The program could not be started.
    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    /// Its process number.
    public let pid: Int32
    private let folder = TemporaryFolder("vfiogroupd-program")
    private let status = Mutex<Int32?>(nil)

    /// Starts one of the package's programs, or any other by its path.
    public init(_ name: String, _ arguments: [String] = [], environment: [String: String] = [:]) throws {
        let path = name.hasPrefix("/") ? name : Self.folder + "/" + name
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let flags = O_WRONLY | O_CREAT | O_APPEND
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, folder.path + "/output", flags, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, folder.path + "/errors", flags, 0o600)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // What the test runner blocks or ignores is its own affair.
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        var argv = ([path] + arguments).map { strdup($0) } + [nil]
        var envp = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in argv + envp { free(text) } }
        Self.closeOnExec()
        var pid: Int32 = 0
        let error = posix_spawn(&pid, path, &actions, &attributes, &argv, &envp)
        guard error == 0 else { throw Failure(description: "\(path): \(String(cString: strerror(error)))") }
        self.pid = pid
    }

    deinit {
        if isRunning {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
        }
    }

    /// Whether it has not ended yet.
    public var isRunning: Bool {
        status.withLock { status in
            var value: Int32 = 0
            if status == nil, waitpid(pid, &value, WNOHANG) == pid { status = value }
            return status == nil
        }
    }

    /// Waits in this thread until it has ended, for one that takes a moment. Foundation's Process now and then waits for
    /// ever where many programs end at once.
    ///
    /// - Returns: its status, as waitpid(2) has it; 0 for success.
    public func wait() -> Int32 {
        status.withLock { status in
            if let status { return status }
            var value: Int32 = 0
            while waitpid(pid, &value, 0) < 0, errno == EINTR {}
            status = value
            return value
        }
    }

    /// What it has printed on stdout so far.
    public var printed: String { text(of: "output") }

    /// What it has printed on stderr so far.
    public var complained: String { text(of: "errors") }

    public func signal(_ number: Int32) { if isRunning { kill(pid, number) } }

    /// Waits until it has ended; one that takes longer than a minute is killed.
    public func outcome() async throws -> Outcome {
        let ended = await eventually(within: 60) { !self.isRunning }
        if !ended {
            signal(SIGKILL)
            _ = await eventually(within: 10) { !self.isRunning }
        }
        let status = status.withLock { $0 } ?? 0
        let signal = status & 0x7f
        return Outcome(
            code: !ended ? -1 : signal == 0 ? status >> 8 & 0xff : 128 + signal, output: printed, errors: complained)
    }

    /// Keeps what the test runner has open (Foundation's pipes among it) from being inherited.
    private static func closeOnExec() {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
            if let descriptor = Int32(name), descriptor > 2 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        }
    }

    private func text(of file: String) -> String {
        let data = try? Data(contentsOf: URL(fileURLWithPath: folder.path + "/" + file))
        return String(decoding: data ?? Data(), as: UTF8.self)
    }
}

extension Program {
    /// Runs a program to its end.
    public static func run(
        _ name: String, _ arguments: [String] = [], environment: [String: String] = [:]
    ) async throws -> Outcome {
        try await Program(name, arguments, environment: environment).outcome()
    }

    /// The folder of the package.
    public static let packageFolder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    /// The folder that the package's programs were built into: the test runner lies in it too.
    public static let folder: String = {
        let runner = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: runner).deletingLastPathComponent().path
    }()

    /// Python with PyPI's varlink, as `make python` sets it up; nil, with the reason printed, where it is not there.
    public static let python: String? = {
        let path = packageFolder + "/.build/python/bin/python3"
        if FileManager.default.isExecutableFile(atPath: path) { return path }
        print("SKIPPED: calls by PyPI's varlink, because `make python` has not set it up (\(path) is not there)")
        return nil
    }()
}

/// Looks again and again until a condition holds or the seconds have passed.
public func eventually(within seconds: Double, _ condition: @Sendable () -> Bool) async -> Bool {
    let deadline = Date().addingTimeInterval(seconds)
    while !condition() {
        if Date() > deadline { return false }
        // Between two looks only: nothing depends on how long it is.
        try? await Task<Never, Never>.sleep(nanoseconds: 2_000_000)
    }
    return true
}
