// Which process is believed to have made a connection.

import EventLoop
import Glibc
import Host
import Inventory
import Testing

@testable import Service
@testable import Varlink

@Suite("The process that made a connection", .timeLimit(.minutes(15)))
struct PeerProcessTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// A child that does nothing.
    private func child() throws -> Int32 {
        var pid: pid_t = 0
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/sleep"), strdup("1000"), nil]
        defer { for argument in arguments { free(argument) } }
        try #require(posix_spawn(&pid, "/bin/sleep", nil, nil, &arguments, nil) == 0)
        return pid
    }

    private func end(_ pid: Int32) {
        kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
    }

    @Test("is the one that the socket tells, where the kernel says which it was")
    @LoopActor func vouched() throws {
        var ends: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { for end in ends { close(end) } }
        let peer = try #require(Peer(ofSocket: ends[0]))
        // Accepted before anything started: only by its number it would be another process.
        guard let process = PeerProcess(ofSocket: ends[0], peer, accepted: 0) else {
            Issue.record("it was not opened")
            return
        }
        guard process.latestStart == nil else { return print("skipped: this kernel has no SO_PEERPIDFD") }
        #expect(ProcessIdentity(of: process) == ProcessIdentity(of: getpid()))
    }

    @Test("opened by its number is refused when it started after the connection was accepted")
    @LoopActor func reused() throws {
        let pid = try child()
        defer { end(pid) }
        let identity = try #require(ProcessIdentity(of: pid))
        func opened(accepted: UInt64) -> ProcessIdentity? {
            guard let process = PeerProcess(openingByNumber: pid, accepted: accepted) else { return nil }
            return ProcessIdentity(of: process)
        }
        #expect(identity.startTime <= PeerProcess.now)
        #expect(opened(accepted: PeerProcess.now) == identity)
        #expect(opened(accepted: identity.startTime) == identity)
        #expect(opened(accepted: identity.startTime - 1) == nil)
    }

    @Test("is nothing once it has ended, whoever has its number then")
    @LoopActor func ended() throws {
        let pid = try child()
        guard let process = PeerProcess(openingByNumber: pid, accepted: .max) else {
            Issue.record("it was not opened")
            return end(pid)
        }
        #expect(process.reading { $0 } == pid)
        end(pid)
        #expect(process.reading { _ in getpid() } == nil)
        #expect(ProcessIdentity(of: process) == nil)
    }
}
