// A daemon that is killed, comes back, or was never there.

import Foundation
import GroupAPI
import Testing
import TestSupport
import VFIOGroupClient

@Suite("The client without a daemon", .timeLimit(.minutes(10)))
struct LossTests {
    @Test("killed under a monitor, a call and a claim: each says so, and the next daemon can be called")
    func killed() async throws {
        let daemon = try await RunningDaemon()
        let client = daemon.client
        #expect(try await daemon.control("simulate", "fault", "unbind", "01:00.0", "--never-returns").code == 0)
        let held = try await client.claim(.device(.pci("0000:05:00.0")), access: .bound)
        let (isReady, isClaiming) = (Shared(false), Shared(false))
        let monitor = Task {
            for try await event in client.monitor() where event.kind == .ready { isReady.value = true }
        }
        let claim = Task {
            try await client.claim(.init(selectors: [.device(.pci("0000:01:00.0"))])) { _ in isClaiming.value = true }
        }
        #expect(await eventually(within: 60) { isReady.value && isClaiming.value })
        daemon.program.signal(SIGKILL)
        for error in [await failure(of: monitor), await failure(of: claim)] {
            guard case .lost(daemon.socket, _)? = error as? GroupClientError else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect("\(error ?? CancellationError())".contains(daemon.socket))
            #expect("\(error ?? CancellationError())".contains("systemctl status vfiogroupd"))
        }
        await #expect(throws: GroupClientError.unreachable([.init(socket: daemon.socket, errno: ECONNREFUSED)])) {
            try await held.release()
        }
        #expect(held.descriptors.allSatisfy { $0.number == nil })
        let next = try await RunningDaemon(socket: daemon.socket)
        #expect(try await client.groups().count == 23)
        try await next.stop()
    }

    private func failure<Value>(of task: Task<Value, any Error>) async -> (any Error)? {
        if case .failure(let error) = await task.result { error } else { nil }
    }

    @Test("a daemon that stops ends the monitor")
    func stopped() async throws {
        let daemon = try await RunningDaemon()
        var error: (any Error)?
        do {
            for try await event in daemon.client.monitor() where event.kind == .ready { daemon.program.signal(SIGTERM) }
        } catch let caught { error = caught }
        guard case .lost? = error as? GroupClientError else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try await daemon.program.outcome().code == 0)
    }

    @Test("nobody listens: the error names the sockets, the reason and the remedy")
    func nobody() async throws {
        let folder = TemporaryFolder()
        let socket = folder.path + "/socket"
        let error = await #expect(throws: GroupClientError.unreachable([.init(socket: socket, errno: ENOENT)])) {
            try await GroupClient(socket: socket).groups()
        }
        let text = error.map { "\($0)" } ?? ""
        for part in [socket, "No such file or directory", "systemctl start vfiogroupd.socket", "--simulate demo"] {
            #expect(text.contains(part), "\(text)")
        }
        await #expect(throws: GroupClientError.self) {
            for try await _ in GroupClient(socket: socket).monitor() {}
        }
        folder.write("file", "")
        await #expect(
            throws: GroupClientError.unreachable([.init(socket: folder.path + "/file", errno: ECONNREFUSED)])
        ) { try await GroupClient(socket: folder.path + "/file").claims() }
        await #expect(throws: GroupClientError.unreachable([.init(socket: "\(socket)\0x", errno: EINVAL)])) {
            try await GroupClient(socket: "\(socket)\0x").groups()
        }
        let long = String(repeating: "x", count: 200)
        await #expect(throws: GroupClientError.unreachable([.init(socket: long, errno: ENAMETOOLONG)])) {
            try await GroupClient(socket: long).claim(.group("g"))
        }
    }

    @Test("without a socket given, the usual places are tried")
    func places() {
        #expect(GroupClient().sockets == SocketPath.candidates)
        #expect(GroupClient().sockets.last == "/run/vfiogroupd/io.vfiogroupd")
    }

    @Test("a service that is no vfiogroupd is told from one")
    func otherService() async throws {
        let folder = TemporaryFolder()
        let socket = folder.path + "/socket"
        let service = try Program("varlink-certification", ["--varlink=unix:\(socket)"])
        #expect(await eventually(within: 60) { UnixSocketTable.isListening(at: socket) })
        let error = await #expect(throws: GroupClientError.self) { try await GroupClient(socket: socket).groups() }
        guard case .other("org.varlink.service.InterfaceNotFound", _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        service.signal(SIGTERM)
        _ = try await service.outcome()
    }
}
