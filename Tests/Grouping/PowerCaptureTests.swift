// POWER machines under real kernels: their groups, and the PE of every device, as the kernel has them and as the rules
// derive them when the kernel's answers are hidden.

import EventLoop
import Foundation
import Grouping
import Inventory
import LinuxHost
import Testing
import TestSupport

/// `expected.json` of a capture.
private struct Expected: Decodable {
    struct Moment: Decodable {
        struct Device: Decodable {
            let bdf: String
            let group: Int?
            let pe: Int?
        }
        let devices: [Device]
    }
    let boot: Moment

    init(_ capture: Capture) throws {
        self = try JSONDecoder().decode(Expected.self, from: try #require(capture.expected))
    }

    /// The PE numbers of all devices that the kernel shows one of.
    var endpoints: [String: Int] {
        Dictionary(uniqueKeysWithValues: boot.devices.compactMap { device in device.pe.map { (device.bdf, $0) } })
    }

    /// The members of the kernel's groups.
    var groups: [Set<String>] {
        Dictionary(grouping: boot.devices.filter { $0.group != nil }, by: \.group).values.map { Set($0.map(\.bdf)) }
    }
}

@Suite("Partitionable endpoints of a captured machine", .timeLimit(.minutes(15)))
struct PowerCaptureTests {
    static let captures = Capture.own.filter { $0.expected != nil }
    static let powernv = captures.filter { $0.name.hasPrefix("powernv") }

    init() throws { try EventLoop.main.runInBackground() }

    @LoopActor private func grouping(_ root: String) async throws -> Grouping {
        Grouping(try await LinuxHost(root: root).readInventory(), policy: .auto)
    }

    private func endpoints(_ grouping: Grouping) -> [String: Int] {
        Dictionary(uniqueKeysWithValues: grouping.endpoints.map { ($0.key.name, $0.value) })
    }

    @Test("the fixtures are there") func fixtures() {
        #expect(Self.captures.map(\.name) == ["powernv9-a", "powernv9-b-2chip", "pseries-k612"])
    }

    @Test("the groups are the kernel's, by the backend for endpoints", arguments: captures)
    @LoopActor func kernelPartition(capture: Capture) async throws {
        let grouping = try await grouping(capture.root)
        let expected = try Expected(capture)
        #expect(Set(grouping.groups.map { Set($0.members.map(\.name)) }) == Set(expected.groups))
        #expect(grouping.groups.allSatisfy { $0.backend == .partitionableEndpoint })
        #expect(grouping.choices.values.allSatisfy { $0.backend == .partitionableEndpoint })
        // The rules derive the same: the cross-check has nothing to say.
        #expect(grouping.warnings.isEmpty)
        #expect(grouping.disagreements.isEmpty)
    }

    @Test("every device has the kernel's PE, bridges in no group too", arguments: powernv)
    @LoopActor func numbers(capture: Capture) async throws {
        #expect(endpoints(try await grouping(capture.root)) == (try Expected(capture)).endpoints)
    }

    @Test("bridges that come before the endpoints of their PE are in no group, with the reason", arguments: powernv)
    @LoopActor func ungroupedBridges(capture: Capture) async throws {
        let ungrouped = try await grouping(capture.root).ungrouped
        let expected = try Expected(capture).boot.devices.filter { $0.group == nil }
        #expect(Set(ungrouped.map(\.device.name)) == Set(expected.map(\.bdf)))
        #expect(ungrouped.allSatisfy { $0.reason.contains("the first device of a PE that is no bridge") })
    }

    @Test("with the kernel's groups and attributes hidden, the rules find the same", arguments: powernv)
    @LoopActor func derived(capture: Capture) async throws {
        let hidden = try capture.hiding("iommu_groups", "iommu_group", "eeh_*")
        let grouping = try await grouping(hidden.path)
        let expected = try Expected(capture)
        #expect(Set(grouping.groups.map { Set($0.members.map(\.name)) }) == Set(expected.groups))
        let found = endpoints(grouping)
        for (device, number) in expected.endpoints { #expect(found[device] == number, "\(device)") }
        #expect(grouping.groups.allSatisfy { !$0.isolation.isIsolated })
    }

    @Test("in a partition, the nodes with DMA windows make the kernel's groups")
    @LoopActor func logical() async throws {
        let capture = try #require(Capture.named("pseries-k612"))
        let hidden = try capture.hiding("iommu_groups", "iommu_group")
        let grouping = try await grouping(hidden.path)
        #expect(
            Set(grouping.groups.map { Set($0.members.map(\.name)) }) == Set((try Expected(capture)).groups))
    }

    @Test("without the address ranges of a device, the number of its PE is unknown, and the groups are the same")
    @LoopActor func withoutResources() async throws {
        let capture = try #require(Capture.named("powernv9-b-2chip"))
        let hidden = try capture.hiding("iommu_groups", "iommu_group", "eeh_*", "resource")
        let grouping = try await grouping(hidden.path)
        let expected = try Expected(capture)
        #expect(Set(grouping.groups.map { Set($0.members.map(\.name)) }) == Set(expected.groups))
        let found = endpoints(grouping)
        #expect(found["0003:03:00.0"] == nil)
        // The root bus has its number from the node alone.
        #expect(found["0003:00:00.0"] == expected.endpoints["0003:00:00.0"])
    }

    @Test("a snapshot derives what the tree does", arguments: captures)
    @LoopActor func snapshot(capture: Capture) async throws {
        let inventory = try await LinuxHost(root: capture.root).readInventory()
        #expect(
            Grouping(try Inventory.replaying(inventory), policy: .auto) == Grouping(inventory, policy: .auto))
    }
}
