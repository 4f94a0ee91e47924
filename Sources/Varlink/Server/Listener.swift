import CLinux
import EventLoop
import Glibc

/// A listening socket, and the task that accepts from it.
@LoopActor
final class Listener {
    private let descriptor: Int32
    /// The path that was bound, to be removed when listening ends.
    private var path: String?
    private weak var server: VarlinkServer?
    private var task: Task<Void, Never>?
    /// Held in reserve: when descriptors have run out, giving this one up lets the next connection be accepted, and
    /// closed, instead of the loop spinning on it.
    private var reserve: Int32

    /// How many connections are accepted before others have their turn.
    private static let batch = 64

    init(_ descriptor: Int32, path: String?, for server: VarlinkServer) {
        self.descriptor = descriptor
        self.path = path
        self.server = server
        reserve = clinux_eventfd()
        // ENOPROTOOPT on kernels before 6.16: there they are dropped when we receive without room for them.
        _ = clinux_refuse_descriptors(descriptor)
        task = EventLoop.main.spawn { [weak self] in await self?.accept() }
    }

    func leavePath() { path = nil }

    func stop() {
        guard let task = task.take() else { return }
        task.cancel()
        if let path { unlink(path) }
        EventLoop.main.forget(descriptor)
        close(descriptor)
        if reserve >= 0 { close(reserve) }
    }

    private func accept() async {
        while task != nil {
            do {
                try await EventLoop.main.readable(descriptor)
                for _ in 0..<Self.batch {
                    guard task != nil, let failure = acceptOne() else { continue }
                    if failure == EAGAIN { break }
                    server?.onIncident?(.acceptFailed(errno: failure))
                    try await EventLoop.main.sleep(for: .milliseconds(100))
                    break
                }
            } catch { return }
        }
    }

    /// Accepts a connection; an errno when there was none to accept.
    private func acceptOne() -> Int32? {
        let accepted = clinux_accept(descriptor)
        guard accepted < 0 else {
            server?.admit(accepted)
            return nil
        }
        switch -accepted {
        case EINTR, ECONNABORTED: return nil
        case EMFILE, ENFILE:
            if reserve >= 0 { close(reserve) }
            let refused = clinux_accept(descriptor)
            if refused >= 0 { close(refused) }
            reserve = clinux_eventfd()
            return -accepted
        case let failure: return failure
        }
    }
}
