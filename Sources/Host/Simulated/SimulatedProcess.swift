// Processes of a simulated machine: clients that come, hold claims, and end.

import EventLoop

/// A process that exists only in a simulated machine.
@LoopActor
final class SimulatedProcess {
    let identity: ProcessIdentity
    private var hasEnded = false
    private var watchers: [Task<Void, Never>] = []

    init(_ identity: ProcessIdentity) { self.identity = identity }

    func awaitEnd() async throws(LoopError) {
        guard !hasEnded else { return }
        let nap = EventLoop.main.spawn { _ = try? await EventLoop.main.sleep(until: MonotonicTime(nanoseconds: .max)) }
        watchers.append(nap)
        await withTaskCancellationHandler {
            await nap.value
        } onCancel: {
            nap.cancel()
        }
        if !hasEnded { throw .cancelled }
    }

    func end() {
        hasEnded = true
        for watcher in watchers { watcher.cancel() }
        watchers = []
    }
}

extension SimulatedHost {
    /// Above what Linux gives to a process (PID_MAX_LIMIT, 2^22).
    static let firstSimulatedPID: Int32 = 1 << 22

    /// Starts a process.
    public func startProcess() -> ProcessIdentity {
        let identity = ProcessIdentity(
            pid: (processes.keys.max() ?? Self.firstSimulatedPID) + 1, startTime: UInt64(processes.count + 1))
        processes[identity.pid] = SimulatedProcess(identity)
        return identity
    }

    /// Ends a process.
    public func endProcess(_ process: ProcessIdentity) { processes.removeValue(forKey: process.pid)?.end() }
}
