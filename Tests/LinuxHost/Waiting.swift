// Waiting on the loop for what another process does.

import EventLoop
import Host
import Inventory
import Testing

@testable import LinuxHost

/// Suspends until the condition holds; false when it does not within the time.
@LoopActor
func waits(within limit: Duration = .seconds(60), until condition: @LoopActor () -> Bool) async -> Bool {
    let deadline = MonotonicTime.now + limit
    while !condition() {
        if deadline <= .now { return false }
        // Between two looks only: nothing depends on how long it is.
        try? await EventLoop.main.sleep(for: .milliseconds(2))
    }
    return true
}

extension CallOutcome {
    var isDone: Bool { if case .done = self { true } else { false } }
    var isUnknown: Bool { if case .unknown = self { true } else { false } }
    var errno: Int32? { if case .failed(let errno) = self { errno } else { nil } }
    var file: KernelFile? { if case .done(.file(let file)) = self { file } else { nil } }
}

extension LinuxHost {
    /// Makes a call and waits for its end.
    func make(_ call: KernelCall) async throws -> CallOutcome {
        let worker = try prepare(call)
        worker.go()
        return try await worker.outcome()
    }
}
