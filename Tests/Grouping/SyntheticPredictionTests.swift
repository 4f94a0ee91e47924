// The prediction against groups that were written down by hand beside made-up machines: those whose IOMMU is off have no
// kernel groups to be held against.

import EventLoop
import Grouping
import Inventory
import LinuxHost
import Testing
import TestSupport

@Suite("The prediction for a made-up machine", .timeLimit(.minutes(15)))
struct SyntheticPredictionTests {
    init() throws { try EventLoop.main.runInBackground() }

    @LoopActor private func prediction(_ machine: SyntheticMachine) async throws -> Prediction {
        let tree = machine.written()
        return Prediction(try await LinuxHost(root: tree.root).readInventory())
    }

    private func groups(_ prediction: Prediction) -> Set<Set<String>> {
        Set(prediction.groups.map { Set($0.map(\.name)) })
    }

    @Test("is what was written down, with certainty, where all is read", arguments: SyntheticMachine.all)
    @LoopActor func equal(machine: SyntheticMachine) async throws {
        let prediction = try await prediction(machine.seen(by: .whole))
        #expect(groups(prediction) == Set(machine.groups.map(Set.init)))
        #expect(prediction.edges.allSatisfy { $0.isCertain })
    }

    @Test("is never finer than what was written down, however little is read", arguments: SyntheticMachine.all)
    @LoopActor func neverFiner(machine: SyntheticMachine) async throws {
        for sight in [machine.sight, .listing, .headers, .noConfig] {
            let groups = groups(try await prediction(machine.seen(by: sight)))
            for group in machine.groups {
                #expect(groups.contains { $0.isSuperset(of: group) }, "\(sight): \(group)")
            }
        }
    }

    @Test("has the PE numbers that were written down, where the kernel shows none")
    @LoopActor func endpoints() async throws {
        let machine = SyntheticMachine.powerListing
        let tree = machine.seen(by: .whole).written()
        let grouping = Grouping(try await LinuxHost(root: tree.root).readInventory(), policy: .auto)
        let found = Dictionary(uniqueKeysWithValues: grouping.endpoints.map { ($0.key.name, $0.value) })
        #expect(found == machine.endpoints)
        #expect(Set(grouping.groups.map { $0.members.map(\.name) }) == Set(machine.groups))
        #expect(grouping.groups.allSatisfy { !$0.isolation.isIsolated })
    }
}
