// Workers of a simulated host. A call that returns at once needs no process; one that does not sits in a stand-in, a
// child with a pid that can be looked at and that a restarted daemon finds again.

import CLinux
import EventLoop
import Glibc
import Host
import Inventory

/// The stand-ins of a host: one spare, and those that sit in calls.
@LoopActor
final class StandIns {
    private var spare: ProcessIdentity?

    isolated deinit {
        guard let spare else { return }
        _ = clinux_kill_worker(spare.pid)
        waitpid(spare.pid, nil, 0)
    }

    /// A process for a call that may not return.
    func take() throws(HostError) -> ProcessIdentity {
        if let spare { return spare }
        let pid = clinux_start_stand_in()
        guard pid > 0 else { throw .system(call: "fork", errno: -pid) }
        let identity = ProcessIdentity(pid: pid, startTime: ProcessIdentity(of: pid)?.startTime ?? 0)
        spare = identity
        return identity
    }

    /// The process sits in a call from now on, and is nobody else's.
    func keepBusy(_ process: ProcessIdentity) { if spare == process { spare = nil } }

    /// Its call has returned.
    func end(_ process: ProcessIdentity) {
        guard spare != process else { return }
        _ = clinux_kill_worker(process.pid)
        waitpid(process.pid, nil, 0)
    }
}

/// A call into the simulated kernel.
@LoopActor
final class SimulatedWorker: KernelWorker {
    enum State {
        case prepared(KernelCall)
        case blocked(SimulatedKernel.Operation, KernelCall)
        case ended(CallOutcome)
    }

    let id: ProcessIdentity
    private weak var host: SimulatedHost?
    private(set) var state: State
    /// A daemon and its successor may wait at the same time, for a moment.
    private let hasEnded = Condition()

    init(_ id: ProcessIdentity, _ call: KernelCall, on host: SimulatedHost) {
        self.id = id
        self.host = host
        state = .prepared(call)
    }

    func go() {
        guard case .prepared(let call) = state else { return }
        attempt(call)
    }

    /// Makes the call; one that does not return goes on when its operation has ended.
    private func attempt(_ call: KernelCall) {
        guard let host else { return end(.unknown) }
        switch host.make(call) {
        case .done(let yield): end(.done(yield))
        case .failed(let errno): end(.failed(errno: errno))
        case .blocked(let operation):
            state = .blocked(operation, call)
            host.isBlocked(self)
        }
    }

    /// Whether it has ended, asked when the kernel may have let its operation go.
    func resumeIfReleased(_ kernel: SimulatedKernel) -> Bool {
        guard case .blocked(let operation, let call) = state else { return true }
        switch kernel.outcome(of: operation) {
        case .blocked: return false
        case .failed(let errno): end(.failed(errno: errno.number))
        case .done:
            // A call that yields something was only stopped, and has still to be made.
            if call.yieldsSomething { attempt(call) } else { end(.done(.nothing)) }
        }
        if case .ended = state { return true }
        return false
    }

    func outcome() async throws(LoopError) -> CallOutcome {
        try await hasEnded.wait { if case .ended(let outcome) = state { outcome } else { nil } }
    }

    private func end(_ outcome: CallOutcome) {
        state = .ended(outcome)
        hasEnded.signal()
    }
}

extension KernelCall {
    /// Whether it was stopped before its work, so that it is made again when it may go on.
    var yieldsSomething: Bool {
        switch self {
        case .open, .setContainer, .setIOMMU, .getDevice, .bindIOMMUFD, .allocateIOAS, .attach, .detach,
            .isBound, .hasContainer, .containerRanges, .ioasRanges, .setPermissions, .close:
            true
        case .loadModule, .setDriverOverride, .unbind, .probe, .announce, .reset, .setVirtualFunctions,
            .setPowerControl,
            .setD3coldAllowed:
            false
        }
    }
}
