// The prediction against the kernel's own groups, on all machines that were captured.

import EventLoop
import Grouping
import Inventory
import LinuxHost
import Testing
import TestSupport

@Suite("The prediction for a captured machine", .timeLimit(.minutes(15)))
struct PredictionCaptureTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// The kernel's groups of PCI devices, read without the program's own code.
    private func kernelPartition(_ capture: Capture) -> Set<Set<String>> {
        Set(capture.kernelGroups.values.map { $0.intersection(capture.addresses) }.filter { !$0.isEmpty })
    }

    private func predicted(_ prediction: Prediction, among names: Set<String>) -> Set<Set<String>> {
        Set(prediction.groups.map { Set($0.map(\.name)).intersection(names) }.filter { !$0.isEmpty })
    }

    @Test("is the kernel's partition where all that decides could be read", .realCaptures, arguments: Capture.all)
    @LoopActor func equal(capture: Capture) async throws {
        let kernel = kernelPartition(capture)
        let prediction = Prediction(try await LinuxHost(root: capture.root).readInventory())
        guard !kernel.isEmpty else { return print("SKIPPED: \(capture) has no kernel groups to compare with") }
        guard prediction.edges.allSatisfy({ $0.isCertain }) else {
            return print("SKIPPED: of \(capture) not all that decides could be read; it is held to being no finer")
        }
        #expect(predicted(prediction, among: Set(kernel.joined())) == kernel)
    }

    @Test("is exact for every capture of our own") func noUnknowns() async throws {
        for capture in Capture.own {
            let inventory = try await LinuxHost(root: capture.root).readInventory()
            #expect(Prediction(inventory).edges.allSatisfy { $0.isCertain }, "\(capture)")
        }
    }

    @Test("is never finer than the kernel's partition", .realCaptures, arguments: Capture.all)
    @LoopActor func neverFiner(capture: Capture) async throws {
        let kernel = kernelPartition(capture)
        let prediction = Prediction(try await LinuxHost(root: capture.root).readInventory())
        let groups = predicted(prediction, among: Set(kernel.joined()))
        for group in kernel { #expect(groups.contains { $0.isSuperset(of: group) }, "\(group.sorted())") }
    }

    @Test(
        "is never finer where configuration space could not be read, and then certain of nothing that it needs it for",
        .realCaptures, arguments: Capture.all)
    @LoopActor func hidden(capture: Capture) async throws {
        let kernel = kernelPartition(capture)
        let prediction = Prediction(try await LinuxHost(root: capture.root).readInventory().unreadable)
        let groups = predicted(prediction, among: Set(kernel.joined()))
        for group in kernel { #expect(groups.contains { $0.isSuperset(of: group) }, "\(group.sorted())") }
        for edge in prediction.edges {
            switch edge.reason {
            case .ports, .functions, .requesterAlias: #expect(!edge.isCertain, "\(edge.sentence)")
            case .sharedRequester, .aliasQuirk, .partitionableEndpoint, .hostBridge, .kernel: break
            }
        }
    }
}
