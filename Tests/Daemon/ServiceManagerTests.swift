// The daemon under a service manager: told through the same sockets and variables that systemd uses.

import Foundation
import Synchronization
import Testing
import TestSupport

@Suite("Under a service manager", .timeLimit(.minutes(15)))
struct ServiceManagerTests {
    @Test("READY comes once the socket is served, with a status, and STOPPING at the end")
    func notification() async throws {
        let socket = try NotifySocket()
        let daemon = try await RunningDaemon(environment: ["NOTIFY_SOCKET": socket.path])
        #expect(await eventually(within: 30) { socket.received.contains("READY=1") })
        #expect(await eventually(within: 30) { socket.received.contains("STATUS=23 groups") })
        try await daemon.stop()
        #expect(await eventually(within: 30) { socket.received.contains("STOPPING=1") })
    }

    @Test("the watchdog is fed when there is one")
    func watchdog() async throws {
        let socket = try NotifySocket()
        let daemon = try await RunningDaemon(
            environment: ["NOTIFY_SOCKET": socket.path, "WATCHDOG_USEC": "200000"])
        #expect(await eventually(within: 30) { socket.received.contains("WATCHDOG=1") })
        try await daemon.stop()
    }

    @Test("a start that fails is never READY, and says why")
    func failedStart() async throws {
        let socket = try NotifySocket()
        let outcome = try await Program.run(
            "vfiogroupd", ["--simulate", "/nonexistent"], environment: ["NOTIFY_SOCKET": socket.path])
        #expect(outcome.code == 1)
        #expect(await eventually(within: 30) { socket.received.contains("STATUS=cannot open the folder /nonexistent") })
        #expect(!socket.received.contains("READY=1"))
    }

    @Test("a socket that systemd passes is served, and left alone at the end")
    func socketActivation() async throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/activated"
        let tool = "/usr/bin/systemd-socket-activate"
        guard FileManager.default.isExecutableFile(atPath: tool) else {
            print("SKIPPED: socket activation, because \(tool) is not there (package systemd)")
            return
        }
        let manager = try Program(
            tool,
            ["-l", path, "--fdname=varlink", Program.folder + "/vfiogroupd", "--simulate", "demo"])
        #expect(await eventually(within: 30) { FileManager.default.fileExists(atPath: path) })
        let outcome = try await Program.run("vfiogroupctl", ["--socket", path, "status"])
        #expect(outcome.code == 0)
        #expect(outcome.output.contains("the built-in demo machine"))
        manager.signal(SIGTERM)
        #expect(try await manager.outcome().code == 0)
        #expect(FileManager.default.fileExists(atPath: path))
    }

    @Test("a socket that the daemon opened itself is kept by the manager, and its path stays for the next daemon")
    func ownSocket() async throws {
        let socket = try NotifySocket()
        let daemon = try await RunningDaemon(environment: ["NOTIFY_SOCKET": socket.path])
        var status = stat()
        #expect(await eventually(within: 30) { socket.received.contains("READY=1") })
        try #require(lstat(daemon.socket, &status) == 0)
        let name = "own-socket-\(status.st_dev)-\(status.st_ino)"
        #expect(socket.received.contains("FDSTORE=1\nFDPOLL=0\nFDNAME=\(name)\n"))
        try await daemon.stop()
        #expect(FileManager.default.fileExists(atPath: daemon.socket))
    }

    @Test("a socket from the manager's store is served where it is still the one that is meant, and closed where not")
    func storedSocket() async throws {
        let folder = TemporaryFolder()
        let tool = "/usr/bin/systemd-socket-activate"
        guard FileManager.default.isExecutableFile(atPath: tool) else {
            print("SKIPPED: stored sockets, because \(tool) is not there (package systemd)")
            return
        }
        let stored = "@vfiogroupd-test-\(UUID().uuidString)"
        for (path, isMeant) in [(stored, true), (folder.path + "/other", false)] {
            let manager = try Program(
                tool,
                [
                    "-l", stored, "--fdname=own-socket", Program.folder + "/vfiogroupd", "--simulate", "demo",
                    "--socket",
                    path,
                ])
            // The first client has it pass the socket; with the last copy of that it is cut off.
            #expect(await eventually(within: 30) { manager.complained.contains("Listening on ") })
            let first = try await Program.run("vfiogroupctl", ["--socket", stored, "status"])
            #expect((first.code == 0) == isMeant, "\(first.errors)")
            #expect(await eventually(within: 30) { manager.complained.contains("listening on \(path)") })
            let outcome = try await Program.run("vfiogroupctl", ["--socket", path, "status"])
            #expect(outcome.output.contains("the built-in demo machine"))
            #expect(manager.complained.contains("listening on \(stored), as the daemon before") == isMeant)
            let closed =
                "the stored socket \(stored) of an earlier daemon is closed: nobody who connects to \(path) reaches it"
            #expect(manager.complained.contains(closed) == !isMeant, "\(manager.complained)")
            manager.signal(SIGTERM)
            #expect(try await manager.outcome().code == 0)
        }
    }
}

/// What the daemon tells its service manager.
final class NotifySocket: Sendable {
    let path: String
    private let folder = TemporaryFolder()
    private let descriptor: Int32
    private let text = Mutex("")

    init() throws {
        let path = folder.path + "/notify"
        self.path = path
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        self.descriptor = descriptor
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
    }

    deinit { close(descriptor) }

    /// Everything that came so far.
    var received: String {
        text.withLock { text in
            var buffer = [UInt8](repeating: 0, count: 4096)
            while case let n = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT)), n > 0 {
                text += String(decoding: buffer[..<n], as: UTF8.self) + "\n"
            }
            return text
        }
    }
}
