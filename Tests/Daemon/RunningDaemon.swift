// A daemon as a user starts it, on a socket in a folder of its own.

import Foundation
import Testing
import TestSupport

/// A running vfiogroupd.
final class RunningDaemon: Sendable {
    let program: Program
    let folder = TemporaryFolder()
    let socket: String

    /// Starts it on a simulation and waits until it listens.
    init(simulate: String = "demo", arguments: [String] = [], environment: [String: String] = [:]) async throws {
        let socket = folder.path + "/socket"
        self.socket = socket
        program = try Program(
            "vfiogroupd", ["--simulate", simulate, "--socket", socket] + arguments, environment: environment)
        let program = program
        let listens = await eventually(within: 60) {
            FileManager.default.fileExists(atPath: socket) || !program.isRunning
        }
        try #require(listens && program.isRunning, "\(program.complained)")
    }

    /// Runs vfiogroupctl on its socket.
    func control(_ arguments: String...) async throws -> Program.Outcome {
        try await Program.run("vfiogroupctl", ["--socket", socket] + arguments)
    }

    /// Ends it as a service manager does.
    @discardableResult
    func stop() async throws -> Program.Outcome {
        program.signal(SIGTERM)
        return try await program.outcome()
    }
}
