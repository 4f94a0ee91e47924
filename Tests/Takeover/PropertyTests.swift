// Very many things happen by chance: no promise is broken by any of them. .ci/run has it be a hundred thousand.

import EventLoop
import Glibc
import Testing

@testable import Takeover

@Suite("Whatever happens", .timeLimit(.minutes(20)))
struct PropertyTests {
    init() throws { try EventLoop.main.runInBackground() }

    private static func number(_ variable: String) -> Int? { getenv(variable).flatMap { Int(String(cString: $0)) } }

    @Test("no device is in two claims, none outside of claims is touched, and all is given back as it was")
    @LoopActor func promises() async throws {
        let length = 500
        let seed = Self.number("VFIOGROUPD_TEST_SEED")
        let runs = seed != nil ? 1 : (Self.number("VFIOGROUPD_TEST_OPERATIONS") ?? 20_000) / length
        for run in 0..<runs {
            let seed = seed ?? run
            let world = try await RandomWorld(seed: UInt64(seed))
            for _ in 0..<length { try await world.step() }
            await world.finish()
            #expect(
                world.failures.isEmpty,
                "repeat it: SWIFT_DETERMINISTIC_HASHING=1 VFIOGROUPD_TEST_SEED=\(seed) swift test --filter PropertyTests\n\(world.failures.prefix(3).joined(separator: "\n"))"
            )
            if !world.failures.isEmpty { break }
        }
        print("random operations: \(runs * length) in \(runs) runs")
    }
}
