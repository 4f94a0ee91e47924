// A daemon as a user starts it, on a socket in a folder of its own.

import Foundation

/// A running vfiogroupd.
public final class RunningDaemon: Sendable {
    public let program: Program
    public let folder = TemporaryFolder()
    public let socket: String

    /// Starts it on a simulation and waits until it listens.
    ///
    /// - Parameters:
    ///   - simulate: the machine.
    ///   - socket: where it listens, such as the socket of one that was killed; nil for one of its own.
    ///   - arguments: what else stands on its command line.
    ///   - isConfigured: whether it has the tests' configuration, where the arguments name none.
    ///   - environment: what is different in its environment.
    /// - Throws: what it said, where it did not start.
    public init(
        simulate: String = "demo", socket: String? = nil, arguments: [String] = [], isConfigured: Bool = true,
        environment: [String: String] = [:]
    ) async throws {
        let path = socket ?? folder.path + "/socket"
        self.socket = path
        var words = ["--simulate", simulate, "--socket", path] + arguments
        if isConfigured, !words.contains("--config") {
            words += ["--config", try Self.patientConfiguration(in: folder)]
        }
        program = try Program("vfiogroupd", words, environment: environment)
        let program = program
        let listens = await eventually(within: 60) { UnixSocketTable.isListening(at: path) || !program.isRunning }
        guard listens, program.isRunning else { throw Program.Failure(description: program.complained) }
    }

    /// On a busy machine minutes may pass between two lines of a test; a claim that it holds in the middle is not to fail
    /// meanwhile because of that.
    private static func patientConfiguration(in folder: TemporaryFolder) throws -> String {
        let file = folder.path + "/vfiogroupd.conf"
        try "[Timing]\nTakeoverTimeoutSec=10min\n".write(toFile: file, atomically: true, encoding: .utf8)
        return file
    }

    /// Runs vfiogroupctl on its socket.
    public func control(_ arguments: String...) async throws -> Program.Outcome {
        try await Program.run("vfiogroupctl", ["--socket", socket] + arguments)
    }

    /// Ends it as a service manager does.
    @discardableResult
    public func stop() async throws -> Program.Outcome {
        program.signal(SIGTERM)
        return try await program.outcome()
    }
}
