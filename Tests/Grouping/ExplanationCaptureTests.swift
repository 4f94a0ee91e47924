// The explanations of captured machines, held against files that were reviewed by hand.

import EventLoop
import Foundation
import Grouping
import Inventory
import LinuxHost
import Testing
import TestSupport

@Suite("The explanation of a captured machine's groups", .timeLimit(.minutes(15)))
struct ExplanationCaptureTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/explanations")

    init() throws { try EventLoop.main.runInBackground() }

    @LoopActor private func grouped(
        _ capture: Capture
    ) async throws -> (grouping: Grouping, explainer: Explainer) {
        let inventory = try await LinuxHost(root: capture.root).readInventory()
        return (Grouping(inventory, policy: .auto), Explainer(inventory))
    }

    /// Everything that an explanation says, as a text.
    private func text(_ explanation: Explanation) -> String {
        var lines = [explanation.summary, "  agreement: \(explanation.agreement)"]
        func add(_ title: String, _ sentences: [String]) { lines += sentences.map { "  \(title): \($0)" } }
        add("why", explanation.edges.map(\.sentence))
        add("splits", explanation.splitting)
        add("does not", explanation.futile)
        add("remark", explanation.remarks)
        return lines.joined(separator: "\n")
    }

    /// After a change that is meant, run with VFIOGROUPD_WRITE_EXPLANATIONS=1 and review the files.
    @Test("is what was reviewed, for every group of several devices", arguments: Capture.own)
    @LoopActor func golden(capture: Capture) async throws {
        let (grouping, explainer) = try await grouped(capture)
        let found =
            grouping.groups.filter { $0.members.count > 1 }.map { text(explainer.explain($0)) }
            .joined(separator: "\n\n") + "\n"
        let file = Self.folder.appendingPathComponent(capture.name + ".txt")
        if ProcessInfo.processInfo.environment["VFIOGROUPD_WRITE_EXPLANATIONS"] != nil {
            try Data(found.utf8).write(to: file)
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == found)
    }

    @Test("connects all members, by reasons between members alone", .realCaptures, arguments: Capture.all)
    @LoopActor func connected(capture: Capture) async throws {
        let (grouping, explainer) = try await grouped(capture)
        for group in grouping.groups {
            let explanation = explainer.explain(group)
            #expect(explanation.edges.count == group.members.count - 1, "\(group.id)")
            #expect(
                explanation.edges.allSatisfy { group.members.contains($0.device) && group.members.contains($0.other) })
            guard let first = group.members.first else { continue }
            for member in group.members.dropFirst() {
                let way = explainer.explain(first, member, in: group).edges
                #expect(!way.isEmpty)
                #expect(way.first.map { [$0.device, $0.other].contains(first) } == true)
                #expect(way.last.map { [$0.device, $0.other].contains(member) } == true)
            }
        }
    }

    @Test(
        "agrees with the kernel everywhere on our own captures, and gives a reason for every edge",
        arguments: Capture.own)
    @LoopActor func confirmed(capture: Capture) async throws {
        let (grouping, explainer) = try await grouped(capture)
        for group in grouping.groups {
            let explanation = explainer.explain(group)
            #expect(explanation.agreement == .confirmed)
            #expect(explanation.edges.allSatisfy { if case .kernel = $0.reason { false } else { $0.isCertain } })
        }
    }

    @Test("says unknown where config was not readable, and keeps the kernel's groups", arguments: Capture.own)
    @LoopActor func unknown(capture: Capture) async throws {
        let inventory = try await LinuxHost(root: capture.root).readInventory().unreadable
        let explainer = Explainer(inventory)
        for group in Grouping(inventory, policy: .auto).groups where group.members.count > 1 {
            let explanation = explainer.explain(group)
            // What firmware decides needs no configuration space.
            let isByFirmware = explanation.edges.allSatisfy { edge in
                if case .partitionableEndpoint = edge.reason { true } else { false }
            }
            #expect(explanation.agreement == .uncertain || isByFirmware, "\(group.id)")
            #expect(explanation.edges.count == group.members.count - 1)
        }
    }
}
