// Very many things happen by chance: no promise is broken by any of them. .ci/run has it be a hundred thousand.

import EventLoop
import Glibc
import Inventory
import SimulatedHost
import Testing

@testable import Takeover

@Suite("Whatever happens", .timeLimit(.minutes(20)))
struct PropertyTests {
    init() throws { try EventLoop.main.runInBackground() }

    private static func number(_ variable: String) -> Int? { getenv(variable).flatMap { Int(String(cString: $0)) } }

    private struct Machine {
        weak var host: SimulatedHost?
    }

    /// What failed in a run, and its machine.
    @LoopActor private func run(_ seed: Int, _ length: Int) async throws -> ([String], Machine) {
        let world = try await RandomWorld(seed: UInt64(seed))
        for _ in 0..<length { try await world.step() }
        await world.finish()
        return (world.failures, Machine(host: world.host))
    }

    @Test("no device is in two claims, none outside of claims is touched, and all is given back as it was")
    @LoopActor func promises() async throws {
        let length = 500
        let first = Self.number("VFIOGROUPD_TEST_SEED")
        let operations = Self.number("VFIOGROUPD_TEST_OPERATIONS") ?? (first == nil ? 20_000 : length)
        let runs = operations / length
        for seed in (first ?? 0)..<(first ?? 0) + runs {
            let (failures, machine) = try await run(seed, length)
            let advice =
                "repeat it: SWIFT_DETERMINISTIC_HASHING=1 VFIOGROUPD_TEST_SEED=\(seed) swift test --filter PropertyTests"
            #expect(failures.isEmpty, "\(advice)\n\(failures.prefix(3).joined(separator: "\n"))")
            let deadline = MonotonicTime.now + .seconds(10)
            while machine.host != nil, deadline > .now { await EventLoop.main.yield() }
            #expect(machine.host == nil, "\(advice)\nsomething of a daemon goes on after its end")
            if !failures.isEmpty || machine.host != nil { break }
        }
        print("random operations: \(runs * length) in \(runs) runs")
    }
}
