// A captured tree and its snapshot are one machine: the same groups, explanations and windows.

import EventLoop
import Inventory
import LinuxHost
import Testing
import TestSupport

@testable import Grouping

@Suite("Replaying a snapshot", .timeLimit(.minutes(15)))
struct SnapshotRoundTripTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("gives identical groups, explanations and windows", .realCaptures, arguments: Capture.all)
    @LoopActor func identical(capture: Capture) async throws {
        let inventory = try await LinuxHost(root: capture.root).readInventory()
        let replayed = try Inventory.replaying(inventory)
        for policy in [BackendPolicy.auto, .forced(.predicted)] {
            let (one, other) = (
                Grouping(inventory, policy: policy), Grouping(replayed, policy: policy)
            )
            #expect(one == other)
            let explainers = (Explainer(inventory), Explainer(replayed))
            for group in one.groups {
                #expect(explainers.0.explain(group) == explainers.1.explain(group))
                #expect(
                    DMAWindow.windows(of: group, in: inventory, endpoints: one.endpoints)
                        == DMAWindow.windows(of: group, in: replayed, endpoints: other.endpoints))
            }
        }
    }
}
