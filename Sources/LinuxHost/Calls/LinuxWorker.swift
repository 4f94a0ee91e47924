// Workers of a real kernel: children that wait for leave, make one call and answer. One that ended without an answer
// has an outcome that nobody knows.

import CLinux
import EventLoop
import Files
import Glibc
import Host
import Inventory

/// A worker of this daemon.
@LoopActor
final class LinuxWorker: KernelWorker {
    let id: ProcessIdentity
    private let call: LinuxCall
    private let socket: Int32
    private var hasGone = false
    private var result: CallOutcome?
    private let hasEnded = Condition()

    /// The workers that have not ended. Their copies of files are the daemon's own.
    private(set) static var running: Set<Int32> = []

    /// Forks a worker for the call.
    init(_ call: LinuxCall) throws(HostError) {
        let (pid, socket) = try call.start()
        let process: ProcessHandle
        do throws(LoopError) { process = try ProcessHandle(pid: pid) } catch {
            throw Self.givenUp(pid, socket, "pidfd_open", error)
        }
        guard let id = ProcessIdentity(of: pid) else { throw Self.givenUp(pid, socket, "read /proc/\(pid)/stat") }
        self.id = id
        self.call = call
        self.socket = socket
        Self.running.insert(pid)
        // The child is reaped whether or not somebody waits for its outcome; so this must not keep the worker, whose
        // end closes the socket, without which a child that was never let go would wait for ever.
        EventLoop.main.spawn { [weak self] in
            await Self.end(of: process)
            Self.running.remove(pid)
            self?.end()
        }
    }

    isolated deinit { if result == nil { close(socket) } }

    func go() {
        guard !hasGone else { return }
        hasGone = true
        // First the daemon's copy: then the last close is the worker's, and takes as long as it likes.
        if call.letsGo { for file in call.files { file.letGo() } }
        if result == nil { _ = clinux_let_go(socket) }
    }

    func outcome() async throws(LoopError) -> CallOutcome {
        try await hasEnded.wait { result }
    }

    /// Takes what the child has answered before it ended.
    private func end() {
        result = answer()
        close(socket)
        hasEnded.signal()
    }

    private func answer() -> CallOutcome {
        withUnsafeTemporaryAllocation(of: clinux_range.self, capacity: Int(CLINUX_RANGE_MAX)) { ranges in
            var answer = clinux_answer()
            var descriptor: Int32 = -1
            guard clinux_take_answer(socket, &answer, ranges.baseAddress, &descriptor) == 1 else { return .unknown }
            let file = descriptor >= 0 ? KernelFile(owning: descriptor) : nil
            if answer.error != 0 { return .failed(errno: answer.error) }
            switch call.yield {
            case .nothing: return .done(.nothing)
            case .number: return .done(.number(answer.number))
            // A descriptor that could not be received (EMFILE) is lost on the way.
            case .file: return file.map { .done(.file($0)) } ?? .failed(errno: EMFILE)
            case .ranges:
                let found = ranges[..<Int(answer.range_count)].filter { $0.first <= $0.last }
                return .done(.ranges(found.map { $0.first...$0.last }))
            }
        }
    }

    private static func end(of process: ProcessHandle) async {
        while true {
            do throws(LoopError) {
                _ = try await process.ended()
                return
            } catch {
                // epoll has no room for it now; later it may.
                try? await EventLoop.main.sleep(for: .milliseconds(100))
            }
        }
    }

    /// Has a child end that cannot be used. It waits for leave, so that it ends at once.
    private static func givenUp(
        _ pid: Int32, _ socket: Int32, _ call: String, _ error: LoopError? = nil
    ) -> HostError {
        close(socket)
        waitpid(pid, nil, 0)
        if case .system(_, let errno)? = error { return .system(call: call, errno: errno) }
        return .system(call: call, errno: ESRCH)
    }
}

/// A worker that an earlier daemon left: nobody's child, and what it answered went nowhere.
@LoopActor
final class LeftBehindWorker: KernelWorker {
    let id: ProcessIdentity
    private let process: ProcessHandle

    /// Finds it; nil when it has ended.
    ///
    /// - Throws: `.system` when that cannot be found out: its call may still be in the kernel.
    init?(_ id: ProcessIdentity) throws(HostError) {
        let process: ProcessHandle
        do throws(LoopError) { process = try ProcessHandle(pid: id.pid) } catch {
            guard case .system(let call, let errno) = error, errno != ESRCH, errno != EINVAL else { return nil }
            throw .system(call: "\(call) of process \(id.pid)", errno: errno)
        }
        do throws(SystemError) {
            // Opened by number: had it ended before, the number may be another's.
            guard try ProcessIdentity.now(of: id.pid) == id else { return nil }
        } catch { throw .system(call: "read /proc/\(id.pid)/stat", errno: error.errno) }
        self.id = id
        self.process = process
    }

    func go() {}

    func outcome() async throws(LoopError) -> CallOutcome {
        _ = try await process.ended()
        return .unknown
    }
}
