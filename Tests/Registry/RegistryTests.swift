// Members' states, completeness, and what is told when something changes.

import Grouping
import Inventory
import Testing
import TestSupport

@testable import Registry

@Suite("Member states")
struct MemberStateTests {
    private func state(_ driver: String?, isBridge: Bool = false, kernel: String? = "6.12.0") -> MemberState {
        MemberState(
            of: pciDevice("0000:00:01.0", isBridge: isBridge, driver: driver),
            kernel: kernel.flatMap { KernelRelease($0) })
    }

    @Test(
        "vfio-pci and its variants hold a device",
        arguments: [
            "vfio-pci", "mlx5_vfio_pci", "hisi_acc_vfio_pci", "nvgrace-gpu-vfio-pci", "virtio_vfio_pci",
        ])
    func held(driver: String) { #expect(state(driver) == .held) }

    @Test("pcieport and pci-stub are passive, no driver is inert")
    func harmless() {
        #expect(state("pcieport", isBridge: true) == .passive)
        #expect(state("pci-stub") == .passive)
        #expect(state("pci-stub", isBridge: true) == .passive)
        #expect(state(nil) == .inert)
        #expect(state(nil, isBridge: true) == .inert)
    }

    @Test("any other driver is a host driver", arguments: ["nvme", "vfio", "vfio-pci-core", "my_vfio", "pcieportx"])
    func host(driver: String) { #expect(state(driver) == .host) }

    @Test("shpchp on a bridge blocks since 5.19, and where the kernel is unknown")
    func bridgeDriver() {
        #expect(state("shpchp", isBridge: true, kernel: "6.1.0") == .host)
        #expect(state("shpchp", isBridge: true, kernel: "5.19.0") == .host)
        #expect(state("shpchp", isBridge: true, kernel: nil) == .host)
        #expect(state("shpchp", isBridge: true, kernel: "5.18.19") == .passive)
        #expect(state("e1000e", kernel: "5.10.0") == .host)
    }

    @Test("vfio drivers of other buses hold their devices")
    func otherBuses() {
        for (bus, driver) in [
            ("platform", "vfio-platform"), ("fsl-mc", "vfio-fsl-mc"), ("ap", "vfio_ap"), ("mdev", "vfio_mdev"),
        ] {
            let device = Device(address: .other(bus: bus, name: "x"), kind: .other, driver: driver)
            #expect(MemberState(of: device, kernel: nil) == .held)
        }
    }
}

@Suite("The registry")
struct RegistryTests {
    private let before = machine(
        pciDevice("0000:00:01.0", group: 1, isBridge: true, driver: "pcieport"),
        pciDevice("0000:01:00.0", parent: "0000:00:01.0", group: 2, driver: "nouveau"),
        pciDevice("0000:01:00.1", parent: "0000:00:01.0", group: 2, driver: "snd_hda_intel"), kernel: "6.12.0")

    private func registry() -> Registry { Registry(before, policy: .auto) }

    @Test("a group is incomplete while host drivers have members, and each is named")
    func completeness() throws {
        let record = try #require(registry().snapshot.group(kernelGroup: 2))
        #expect(!record.isComplete)
        #expect(record.blockers.map(\.driver) == ["nouveau", "snd_hda_intel"])
        #expect(record.blockers.allSatisfy { !$0.reason.isEmpty && !record.remedy(for: $0).isEmpty })
        let bridges = try #require(registry().snapshot.group(kernelGroup: 1))
        #expect(bridges.isComplete)
        #expect(bridges.state.name == "unavailable")
    }

    @Test("what is in the way is moved by a command, and never by hand: nobody would give the group back")
    func remedies() throws {
        var registry = registry()
        let record = try #require(registry.snapshot.group(kernelGroup: 2))
        #expect(record.remedy(for: record.blockers[0]).hasPrefix("vfiogroupctl claim 0000:01:00.0 "))
        _ = registry.hold([record.id: Holding(claim: nil, state: .quarantined(reason: "its reset failed"))])
        let quarantined = try #require(registry.snapshot.group(kernelGroup: 2))
        #expect(quarantined.remedy(for: record.blockers[0]).hasPrefix("vfiogroupctl unquarantine \(record.id) "))
        let mixed = machine(
            pciDevice("0000:00:01.0", group: 1, driver: "vfio-pci"), pciDevice("0000:00:01.1", group: 1, driver: "nvme")
        )
        let orphaned = try #require(Registry(mixed, policy: .auto).snapshot.groups.first)
        #expect(orphaned.remedy(for: orphaned.blockers[0]).hasPrefix("vfiogroupctl adopt \(orphaned.id) "))
        let text = [record, quarantined, orphaned].map { $0.remedy(for: record.blockers[0]) }.joined()
        #expect(!text.contains("unbind") && !text.contains("vfio-pci"))
    }

    @Test("a bridge in the way is not told to be bound to vfio-pci")
    func bridgeBlocker() throws {
        let inventory = machine(
            pciDevice("0000:00:01.0", group: 1, isBridge: true, driver: "shpchp"),
            pciDevice("0000:01:00.0", parent: "0000:00:01.0", group: 1))
        let record = try #require(Registry(inventory, policy: .auto).snapshot.groups.first)
        #expect(record.blockers.map(\.driver) == ["shpchp"])
        #expect(record.remedy(for: record.blockers[0]).hasPrefix("vfiogroupctl claim 0000:00:01.0 "))
    }

    @Test("members on vfio drivers without a claim are orphans")
    func orphaned() {
        let inventory = machine(
            pciDevice("0000:00:01.0", group: 1, driver: "vfio-pci"), pciDevice("0000:00:01.1", group: 1))
        #expect(Registry(inventory, policy: .auto).snapshot.groups[0].state == .orphaned)
    }

    @Test("nothing changed: the same generation and no events")
    func unchanged() {
        var registry = registry()
        #expect(registry.update(before).isEmpty)
        #expect(registry.snapshot.generation == 1)
    }

    @Test("a driver that changes is told, with the state that changes with it")
    func driverChanges() {
        var registry = registry()
        let after = machine(
            pciDevice("0000:00:01.0", group: 1, isBridge: true, driver: "pcieport"),
            pciDevice("0000:01:00.0", parent: "0000:00:01.0", group: 2, driver: "vfio-pci"),
            pciDevice("0000:01:00.1", parent: "0000:00:01.0", group: 2), kernel: "6.12.0")
        let events = registry.update(after)
        #expect(registry.snapshot.generation == 2)
        #expect(events.map(\.kind) == [.memberDriverChanged, .memberDriverChanged, .groupStateChanged])
        #expect(events.map { $0.member?.name } == ["0000:01:00.0", "0000:01:00.1", nil])
        #expect(events[0].cause == "nouveau before, vfio-pci now")
        #expect(events.allSatisfy { $0.group?.text == "pci0000-00_01.0_00.0" && $0.generation == 2 })
        #expect(registry.snapshot.group(kernelGroup: 2)?.isComplete == true)
    }

    @Test("a device that leaves, a group that leaves, and their return are told")
    func hotplug() {
        var registry = registry()
        let withoutAudio = machine(Array(before.devices.dropLast()), kernel: "6.12.0")
        #expect(registry.update(withoutAudio).map(\.kind) == [.memberRemoved])
        let withoutBoth = machine(Array(before.devices.dropLast(2)), kernel: "6.12.0")
        #expect(registry.update(withoutBoth).map(\.kind) == [.groupRemoved])
        let back = registry.update(before)
        #expect(back.map(\.kind) == [.groupAdded])
        #expect(back[0].group?.text == "pci0000-00_01.0_00.0")
        #expect(registry.snapshot.generation == 4)
    }

    @Test("devices in no group come and go with events of their own")
    func ungrouped() {
        var registry = registry()
        let more = machine(before.devices + [pciDevice("0000:00:02.0")], kernel: "6.12.0")
        #expect(registry.update(more).map(\.kind) == [.deviceAdded])
        #expect(registry.update(before).map(\.kind) == [.deviceRemoved])
    }

    @Test("an earlier snapshot stays as it was")
    func immutable() {
        var registry = registry()
        let snapshot = registry.snapshot
        _ = registry.update(machine([]))
        #expect(snapshot.groups.count == 2)
        #expect(registry.snapshot.groups.isEmpty)
    }
}
