// How backends and the kernel's groups are combined, on machines made up for it.

import Grouping
import Inventory
import PCI
import Testing
import TestSupport

@Suite("Combining backends and kernel groups")
struct CombinationTests {
    @Test("a kernel group that spans two host bridges makes one group of both")
    func spanning() {
        let inventory = machine(
            pciDevice("0000:00:01.0", group: 1), pciDevice("0001:00:01.0", group: 1),
            pciDevice("0001:00:02.0", group: 2),
            pciDevice("0002:00:01.0", group: 3))
        let grouping = Grouping(inventory, policy: .forced(.hostBridge))
        #expect(grouping.groups.map(\.id.text) == ["pci0000-00", "pci0002-00"])
        #expect(grouping.groups[0].hostBridges.count == 2)
        #expect(grouping.groups[0].kernelGroups == [1, 2])
        #expect(grouping.disagreements.map(\.group.text) == ["pci0000-00"])
    }

    @Test("host bridges may have backends of their own beside the one for all others")
    func byHostBridge() throws {
        let inventory = machine(
            pciDevice("0000:00:01.0", group: 1), pciDevice("0000:00:02.0", group: 2),
            pciDevice("0001:00:01.0", group: 3),
            pciDevice("0001:00:02.0", group: 4), pciDevice("0002:00:01.0", group: 5))
        let second = HostBridgeID(domain: 1, bus: 0)
        let policy = BackendPolicy.byHostBridge(
            [second: .forced(.hostBridge), HostBridgeID(domain: 2, bus: 0): .auto], otherwise: .forced(.kernel))
        let grouping = Grouping(inventory, policy: policy)
        #expect(
            grouping.groups.map(\.id.text) == ["pci0000-00_01.0", "pci0000-00_02.0", "pci0001-00", "pci0002-00_01.0"])
        #expect(grouping.choices[second]?.backend == .hostBridge)
        #expect(grouping.choices[HostBridgeID(domain: 2, bus: 0)]?.reason.contains("forced") == false)
    }

    @Test("what a host bridge holds together and the kernel keeps apart is told")
    func coarser() {
        let inventory = machine(pciDevice("0000:00:01.0", group: 1), pciDevice("0000:00:02.0", group: 2))
        let grouping = Grouping(inventory, policy: .forced(.hostBridge))
        #expect(grouping.groups.count == 1)
        #expect(grouping.disagreements.count == 1)
        #expect(Grouping(inventory, policy: .auto).disagreements.isEmpty)
    }

    @Test("a group is never smaller than the kernel's, whatever the backends say", arguments: 0..<200)
    func neverFiner(seed: Int) {
        var generator = Generator(state: UInt64(seed) &+ 1)
        let devices = (0..<Int.random(in: 1...24, using: &generator)).map { number in
            pciDevice(
                "000\(Int.random(in: 0...3, using: &generator)):00:\(hexadecimal(UInt8(number), width: 2)).0",
                group: Bool.random(using: &generator) ? Int.random(in: 0...5, using: &generator) : nil)
        }
        let inventory = machine(devices)
        for policy in [BackendPolicy.auto, .forced(.hostBridge), .forced(.kernel)] {
            let grouping = Grouping(inventory, policy: policy)
            let placed = grouping.groups.flatMap(\.members) + grouping.ungrouped.map(\.device)
            #expect(placed.count == devices.count && Set(placed).count == devices.count)
            for number in Set(devices.compactMap(\.kernelGroup)) {
                let members = devices.filter { $0.kernelGroup == number }.map(\.address)
                #expect(grouping.groups.contains { Set($0.members).isSuperset(of: members) })
            }
            if policy == .forced(.hostBridge) {
                for bridge in Set(devices.compactMap { $0.pci?.hostBridge }) {
                    let below = devices.filter { $0.pci?.hostBridge == bridge }.map(\.address)
                    #expect(grouping.groups.contains { Set($0.members).isSuperset(of: below) })
                }
            }
        }
    }

    @Test("a device without a kernel group is in none, and the IOMMU is told apart")
    func ungrouped() {
        let inventory = machine(
            pciDevice("0000:00:00.0"), pciDevice("0000:00:00.2", classCode: 0x080600),
            pciDevice("0000:00:01.0", group: 0))
        let grouping = Grouping(inventory, policy: .auto)
        #expect(grouping.ungrouped.map(\.device.name) == ["0000:00:00.0", "0000:00:00.2"])
        #expect(grouping.ungrouped[0].reason.contains("no IOMMU translates for it"))
        #expect(grouping.ungrouped[1].reason.contains("it is the IOMMU itself"))
    }

    @Test("no-IOMMU groups isolate nothing, and do not choose the backend")
    func noIOMMU() {
        let inventory = Inventory(
            devices: [pciDevice("0000:00:01.0", group: 0), pciDevice("0000:00:02.0")],
            kernelGroups: [KernelGroup(number: 0, name: "vfio-noiommu")])
        let grouping = Grouping(inventory, policy: .auto)
        #expect(grouping.groups.map(\.id.text) == ["pci0000-00"])
        #expect(!grouping.groups[0].isolation.isIsolated)
        #expect(!grouping.groups[0].claimability.isClaimable)
    }

    @Test("a member outside of the kernel's groups spoils isolation, a bridge does not")
    func isolation() {
        func isolated(_ other: Device) -> Bool {
            Grouping(machine(pciDevice("0000:00:01.0", group: 0), other), policy: .forced(.hostBridge))
                .groups[0].isolation.isIsolated
        }
        #expect(!isolated(pciDevice("0000:00:02.0")))
        #expect(isolated(pciDevice("0000:00:02.0", isBridge: true)))
    }

    @Test("a direct reserved region, and a group of bridges alone, cannot be claimed")
    func claimability() {
        let region = ReservedRegion(start: 0x1000, last: 0x1fff, kind: .direct)
        let inventory = Inventory(
            devices: [pciDevice("0000:00:01.0", group: 0), pciDevice("0000:00:02.0", group: 1, isBridge: true)],
            kernelGroups: [KernelGroup(number: 0, reservedRegions: [region]), KernelGroup(number: 1)])
        let groups = Grouping(inventory, policy: .auto).groups
        #expect(groups.allSatisfy { $0.isolation.isIsolated && !$0.claimability.isClaimable })
        #expect(groups[0].claimability.reason?.contains("0x1000-0x1fff") == true)
        #expect(groups[1].claimability.reason?.contains("only bridges") == true)
    }

    @Test("devices of other buses have the kernel's groups, and names without colons")
    func otherBuses() {
        let inventory = Inventory(
            devices: [
                Device(address: .other(bus: "platform", name: "soc:dma"), kind: .other, kernelGroup: 0),
                Device(address: .other(bus: "platform", name: "soc-dma"), kind: .other, kernelGroup: 1),
                pciDevice("0000:00:01.0"),
            ], kernelGroups: [KernelGroup(number: 0), KernelGroup(number: 1)])
        let grouping = Grouping(inventory, policy: .auto)
        #expect(grouping.groups.map(\.id.text) == ["pci0000-00", "platform_soc-dma", "platform_soc-dma-2"])
        #expect(grouping.groups[1].hostBridges.isEmpty)
        #expect(grouping.groups[1].claimability.isClaimable)
    }

    @Test("an empty machine has no groups") func empty() {
        #expect(Grouping(Inventory(), policy: .auto).groups.isEmpty)
    }
}
