// The groups of captured machines against what their kernels made of them.

import EventLoop
import Grouping
import Inventory
import LinuxHost
import Testing
import TestSupport

@Suite("The groups of a captured machine", .timeLimit(.minutes(15)))
struct CaptureGroupingTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("are the kernel's, where it made some", .realCaptures, arguments: Capture.all)
    @LoopActor func kernelPartition(capture: Capture) async throws {
        let expected = capture.kernelGroups
        guard !expected.isEmpty else { return }
        let grouping = Grouping(try await LinuxHost(root: capture.root).readInventory(), policy: .auto)
        let found = Dictionary(
            grouping.groups.map { ($0.kernelGroups, Set($0.members.map(\.name))) },
            uniquingKeysWith: { first, _ in first })
        #expect(found == Dictionary(uniqueKeysWithValues: expected.map { ([$0.key], $0.value) }))
        #expect(grouping.groups.count == expected.count)
        #expect(
            Set(grouping.ungrouped.map(\.device.name))
                == capture.addresses.subtracting(expected.values.flatMap { $0 }))
        #expect(grouping.ungrouped.allSatisfy { !$0.reason.isEmpty })
        #expect(grouping.disagreements.isEmpty)
        #expect(grouping.groups.allSatisfy { $0.isolation.isIsolated })
    }

    @Test("are one a host bridge when that is forced", .realCaptures, arguments: Capture.all)
    @LoopActor func hostBridges(capture: Capture) async throws {
        let grouping = Grouping(
            try await LinuxHost(root: capture.root).readInventory(), policy: .forced(.hostBridge))
        #expect(
            grouping.groups.map(\.id.text)
                == capture.hostBridges.sorted { ($0.count, $0) < ($1.count, $1) }.map { $0.replacing(":", with: "-") })
        #expect(Set(grouping.groups.flatMap(\.members).map(\.name)) == capture.addresses)
        #expect(grouping.ungrouped.isEmpty)
        for group in grouping.groups { #expect(group.hostBridges.count == 1) }
    }

    @Test(
        "are marked and cannot be claimed where no IOMMU isolates them", .realCaptures,
        arguments: Capture.all.filter { $0.kernelGroups.isEmpty })
    @LoopActor func withoutIOMMU(capture: Capture) async throws {
        let grouping = Grouping(try await LinuxHost(root: capture.root).readInventory(), policy: .auto)
        #expect(grouping.groups.count == capture.hostBridges.count)
        for group in grouping.groups {
            #expect(!group.isolation.isIsolated)
            #expect(group.claimability.reason?.isEmpty == false)
        }
    }

    @Test("have identities that are file names, and differ", .realCaptures, arguments: Capture.all)
    @LoopActor func identities(capture: Capture) async throws {
        let inventory = try await LinuxHost(root: capture.root).readInventory()
        for policy in [BackendPolicy.auto, .forced(.hostBridge), .forced(.kernel)] {
            let groups = Grouping(inventory, policy: policy).groups
            #expect(Set(groups.map(\.id)).count == groups.count)
            #expect(groups.allSatisfy { GroupID($0.id.text) == $0.id })
        }
    }

    @Test("are named after their first members")
    @LoopActor func names() async throws {
        let capture = try #require(Capture.named("q35-nvme-sriov"))
        let grouping = Grouping(try await LinuxHost(root: capture.root).readInventory(), policy: .auto)
        #expect(
            grouping.groups.map(\.id.text) == [
                "pci0000-00_00.0", "pci0000-00_04.0", "pci0000-00_04.0_00.0", "pci0000-00_04.0_00.0_vf0",
                "pci0000-00_04.0_00.0_vf1", "pci0000-00_05.0", "pci0000-00_05.0_00.0", "pci0000-00_1f.0",
            ])
    }
}
