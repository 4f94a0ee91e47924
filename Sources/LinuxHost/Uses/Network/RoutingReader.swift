// Asking the kernel about addresses and routes, in a child process: the kernel looks at the question under a lock (RTNL)
// that the driver of a network card holds while it is unbound. An unbind that never ends would hold up whoever asks, in
// the middle of sendmsg, where no signal helps.

import CLinux
import EventLoop
import Files
import Glibc

/// What became of questions.
enum RoutingReading: Equatable, Sendable {
    /// Messages of netlink, as they came.
    case bytes([UInt8])
    case failed(errno: Int32)
    /// No answer came in time.
    case late
}

/// Asks questions, one set of them at a time. A child that is late is killed; as long as the kernel does not let it go,
/// no other is sent after it, and every answer is `.late`.
@LoopActor
final class RoutingReader {
    private let deadline: Duration
    /// A child that was killed and has not ended.
    private(set) var stuck: Int32?
    private var isReading = false
    private let isFree = Condition()
    /// Starts the child for questions, and gives its pid and the pipe that it answers through.
    var start: @LoopActor ([UInt8]) -> (pid: Int32, pipe: Int32) = RoutingReader.startChild
    /// Kills a child that is late; what the kernel does not let go of lives on all the same.
    var kill: @LoopActor (Int32) -> Void = { _ = clinux_kill_worker($0) }

    /// The most of one answer that is taken, some hundred routes: more of them tell nothing new.
    static let limit = 64 << 10
    /// The most of all answers.
    private static let wholeLimit = 32 << 20

    nonisolated init(deadline: Duration) { self.deadline = deadline }

    /// The answers on messages.
    func read(_ questions: [UInt8]) async -> RoutingReading {
        do throws(LoopError) { try await isFree.wait { !isReading } } catch { return .late }
        isReading = true
        defer {
            isReading = false
            isFree.signal()
        }
        if let pid = stuck {
            guard clinux_reap_worker(pid) != 0 else { return .late }
            stuck = nil
        }
        let (pid, pipe) = start(questions)
        guard pid > 0 else { return .failed(errno: -pid) }
        let reading = await EventLoop.main.withDeadline(.now + deadline) { await Self.answers(from: pipe) }
        EventLoop.main.forget(pipe)
        close(pipe)
        await end(pid)
        return reading
    }

    private static func answers(from pipe: Int32) async -> RoutingReading {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let n = Glibc.read(pipe, &piece, piece.count)
            if n > 0 {
                bytes += piece[..<n]
                if bytes.count > wholeLimit { return .failed(errno: EFBIG) }
            } else if n == 0 {
                return .bytes(bytes)
            } else if errno == EAGAIN {
                do throws(LoopError) { try await EventLoop.main.readable(pipe) } catch { return .late }
            } else if errno != EINTR {
                return .failed(errno: errno)
            }
        }
    }

    /// Ends the child, whatever it is doing.
    private func end(_ pid: Int32) async {
        kill(pid)
        // A process that can be killed takes a moment to die.
        for _ in 0..<20 {
            if clinux_reap_worker(pid) != 0 { return }
            try? await EventLoop.main.sleep(for: .milliseconds(1))
        }
        stuck = clinux_reap_worker(pid) != 0 ? nil : pid
    }

    private static func startChild(_ questions: [UInt8]) -> (pid: Int32, pipe: Int32) {
        var pipe: Int32 = -1
        let pid = questions.withUnsafeBytes { clinux_start_route_questions($0.baseAddress, $0.count, limit, &pipe) }
        return (pid, pipe)
    }
}
