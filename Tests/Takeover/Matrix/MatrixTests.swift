// Every effect meets every event: whatever happens at whatever moment of whatever method, every promise holds once there
// is a daemon again. All pairs are run on request, and a sample that chance takes with each seed otherwise.

import EventLoop
import Glibc
import Testing
import TestSupport

@Suite("Whatever happens at whatever moment", .timeLimit(.minutes(60)))
struct MatrixTests {
    init() throws { try EventLoop.main.runInBackground() }

    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// How many pairs of a scenario are run by one interface, where not all are.
    private static let sample = 14

    @Test("of a method, every promise holds when there is a daemon again", arguments: MatrixScenario.allCases)
    @LoopActor func pairs(scenario: MatrixScenario) async throws {
        let isFull = Self.variable("VFIOGROUPD_TEST_FULL") != nil
        let seed = Self.variable("VFIOGROUPD_TEST_SEED").flatMap { UInt64($0) } ?? 0
        let only = Self.variable("VFIOGROUPD_TEST_PAIR")
        var generator = Generator(state: seed)
        var met = 0
        for hasIOMMUFD in [true, false] where hasIOMMUFD || scenario.worksWithGroups {
            var pair = MatrixPair(scenario: scenario, hasIOMMUFD: hasIOMMUFD, event: nil, effect: 0)
            let plain = try MatrixRun(pair)
            if case .met(let wrong) = try await plain.run() { #expect(wrong == [], "\(pair)") }
            var pairs: [MatrixPair] = []
            for effect in 1..<(plain.effects + 1) {
                for event in MatrixEvent.allCases {
                    (pair.event, pair.effect) = (event, effect)
                    pairs.append(pair)
                }
            }
            if let only {
                pairs.removeAll { !$0.description.hasPrefix(only) }
            } else if !isFull {
                pairs.shuffle(using: &generator)
            }
            var left = isFull || only != nil ? Int.max : Self.sample
            for pair in pairs where left > 0 {
                let run = try MatrixRun(pair)
                guard case .met(let wrong) = try await run.run() else { continue }
                let advice = "repeat it: VFIOGROUPD_TEST_PAIR=\(pair) swift test --filter MatrixTests"
                #expect(wrong == [], "\(advice); the effects: \(run.history)")
                met += 1
                left -= 1
            }
        }
        print("pairs of an effect of \(scenario) and an event that met it: \(met)\(isFull ? ", all" : "")")
        #expect(met > 0 || only != nil)
    }
}
