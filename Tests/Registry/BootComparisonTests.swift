// What is different from the last boot, and what is not.

import Grouping
import Inventory
import PCI
import Testing
import TestSupport

@testable import Registry

@Suite("The last boot", .timeLimit(.minutes(15)))
struct BootComparisonTests {
    private func boot(_ devices: Device..., kernel: String = "6.12.0", id: String = "a") -> RememberedBoot {
        RememberedBoot(Registry(machine(devices, kernel: kernel), policy: .auto).snapshot, bootID: id)
    }

    private let port = pciDevice("0000:00:01.0", group: 1, isBridge: true)
    private func card(_ address: String = "0000:01:00.0", group: Int, device: UInt16 = 0x10d3) -> Device {
        var card = pciDevice(address, parent: "0000:00:01.0", group: group)
        guard var function = card.pci else { return card }
        function.identification.deviceID = device
        card.kind = .pci(function)
        return card
    }

    @Test("the same machine again is no difference")
    func same() {
        let before = boot(port, card(group: 2))
        let after = BootComparison(of: before, with: boot(port, card(group: 2), id: "b"))
        #expect(after.changes.isEmpty && after.sentences.isEmpty)
        #expect(after.kernel == "6.12.0")
    }

    @Test("groups that joined are named, with the new kernel or the explanation as the cause")
    func joined() throws {
        let before = boot(port, card(group: 2))
        var comparison = BootComparison(of: before, with: boot(port, card(group: 1), id: "b")) { "because of \($0)" }
        var change = try #require(comparison.changes.first)
        #expect(comparison.changes.count == 1)
        #expect(change.kind == .joined && change.groups == ["pci0000-00_01.0"])
        #expect(change.cause == "because of pci0000-00_01.0")
        #expect(
            change.sentence
                == "pci0000-00_01.0 holds together what were 2 groups: pci0000-00_01.0, pci0000-00_01.0_00.0")
        comparison = BootComparison(of: before, with: boot(port, card(group: 1), kernel: "6.18.1", id: "b"))
        change = try #require(comparison.changes.first)
        #expect(change.cause == "the kernel is 6.18.1, and was 6.12.0")
        #expect(comparison.sentences.keys.map(\.text) == ["pci0000-00_01.0"])
    }

    @Test("a group that was split is named with what became of it")
    func split() throws {
        let comparison = BootComparison(
            of: boot(port, card(group: 1)), with: boot(port, card(group: 2), id: "b"))
        #expect(comparison.changes.map(\.kind) == [.split])
        #expect(comparison.changes.first?.groups == ["pci0000-00_01.0", "pci0000-00_01.0_00.0"])
    }

    @Test("the causes of a split and of a new member are what the explanation says, where nothing greater changed")
    func causes() {
        let together = boot(port, card(group: 1))
        let apart = boot(port, card(group: 2), id: "b")
        let split = BootComparison(of: together, with: apart, separate: { "\($0) is not \($1)" })
        #expect(split.changes.map(\.cause) == ["pci0000-00_01.0 is not pci0000-00_01.0_00.0"])
        let more = boot(port, card(group: 1), card("0000:01:00.1", group: 1), id: "b")
        let appeared = BootComparison(of: together, with: more, explain: { "because of \($0)" })
        #expect(appeared.changes.map(\.kind) == [.appeared])
        #expect(appeared.changes.first?.cause == "because of pci0000-00_01.0")
    }

    @Test("groups and devices that came and went are named")
    func cameAndWent() {
        let more = boot(port, card(group: 2), card("0000:01:00.1", group: 2), id: "b")
        let less = boot(port)
        #expect(BootComparison(of: less, with: more).changes.map(\.kind) == [.appeared])
        #expect(BootComparison(of: more, with: less).changes.map(\.kind) == [.went])
        let one = boot(port, card(group: 2))
        let came = BootComparison(of: one, with: more)
        #expect(came.changes.map(\.kind) == [.appeared])
        #expect(came.changes.first?.device == "0000:01:00.1")
        #expect(BootComparison(of: more, with: one).changes.map(\.kind) == [.went])
    }

    @Test("bus and kernel group numbers that shifted are renumbering, and nothing worse")
    func renumbered() {
        let comparison = BootComparison(
            of: boot(port, card(group: 2)), with: boot(port, card("0000:05:00.0", group: 7), id: "b"))
        #expect(comparison.changes.map(\.kind) == [.renumbered, .renumbered])
        #expect(comparison.changes.last?.sentence == "0000:05:00.0 had the address 0000:01:00.0")
    }

    @Test("another device in the place of one is told with both identities")
    func replaced() {
        let comparison = BootComparison(
            of: boot(port, card(group: 2)), with: boot(port, card(group: 2, device: 0x1533), id: "b"))
        #expect(comparison.changes.map(\.kind) == [.replaced])
        #expect(comparison.changes.first?.sentence == "0000:01:00.0 is another device: 8086:1533, and was 8086:10d3")
    }
}

@Suite("The devices that are meant by their places", .timeLimit(.minutes(15)))
struct KnownDevicesTests {
    private func card(_ id: UInt16, address: String = "0000:01:00.0") -> Device {
        var card = pciDevice(address, parent: "0000:00:01.0", group: 2)
        if var function = card.pci {
            function.identification.deviceID = id
            card.kind = .pci(function)
        }
        return card
    }

    private func inventory(_ card: Device) -> Inventory {
        machine(pciDevice("0000:00:01.0", group: 1, isBridge: true), card)
    }

    @Test("another device is told from the one of the last boot, wherever bus numbers shift it, until it is accepted")
    func replacement() {
        let before = RememberedBoot(Registry(inventory(card(0x10d3)), policy: .auto).snapshot, bootID: "a")
        var known = KnownDevices(lastBoot: before, accepted: [:])
        func replacement(_ device: Device) -> KnownDevices.Replacement? {
            known.replacement(of: device, in: inventory(device))
        }
        #expect(replacement(card(0x10d3, address: "0000:05:00.0")) == nil)
        let other = card(0x1533, address: "0000:05:00.0")
        #expect(replacement(other) == .init(before: "8086:10d3", now: "8086:1533"))
        known.accept(other, in: inventory(other))
        #expect(replacement(other) == nil)
        #expect(replacement(card(0x10d3)) == .init(before: "8086:1533", now: "8086:10d3"))
        #expect(KnownDevices().replacement(of: other, in: inventory(other)) == nil)
        known = KnownDevices(lastBoot: before, accepted: known.accepted)
        #expect(replacement(other) == nil)
    }
}

@Suite("The reach of resets", .timeLimit(.minutes(15)))
struct ResetReachTests {
    @Test("a bus reset takes along all that is below the bridge above, and virtual functions with their physical one")
    func bus() throws {
        let inventory = machine(
            pciDevice("0000:00:01.0", group: 1, isBridge: true),
            pciDevice("0000:01:00.0", parent: "0000:00:01.0", group: 2, isBridge: true),
            pciDevice("0000:02:00.0", parent: "0000:01:00.0", group: 3),
            pciDevice("0000:02:01.0", parent: "0000:01:00.0", group: 4),
            pciDevice("0000:02:10.0", parent: "0000:01:00.0", group: 5, virtual: ("0000:02:01.0", 0)))
        let snapshot = Registry(inventory, policy: .auto).snapshot
        let reach = snapshot.resetReach(of: inventory.devices.map(\.address))
        #expect(reach[0].bus == nil)
        #expect(reach[1].bus?.devices.count == 4)
        #expect(reach[2].bus?.devices.map(\.name) == ["0000:02:00.0", "0000:02:01.0", "0000:02:10.0"])
        #expect(reach[2].bus?.groups.count == 3)
        #expect(reach[4].bus == reach[3].bus)
        #expect(reach[2].bus?.name == "0000:02")
    }

    @Test("a slot takes along what sits in it, and what is behind that")
    func slot() throws {
        let devices = [
            pciDevice("0000:00:02.0", group: 1, isBridge: true), pciDevice("0000:00:03.0", group: 2),
            pciDevice("0000:01:00.0", parent: "0000:00:02.0", group: 3),
        ]
        let address = try #require(Slot.Address("0000:00:02"))
        let base = machine(devices)
        let inventory = Inventory(
            hostBridges: base.hostBridges, devices: devices, kernelGroups: base.kernelGroups,
            slots: [Slot(name: "7", address: address)])
        let reach = Registry(inventory, policy: .auto).snapshot.resetReach(of: devices.map(\.address))
        #expect(reach[0].slot?.name == "7")
        #expect(reach[0].slot?.devices.map(\.name) == ["0000:00:02.0", "0000:01:00.0"])
        #expect(reach[1].slot == nil && reach[2].slot == nil)
    }

    @Test("addresses of slots are read as the kernel writes them")
    func addresses() {
        #expect(Slot.Address("0001:0a:1f")?.description == "0001:0a:1f")
        #expect(Slot.Address("0001:0a")?.device == nil)
        for text in ["", "0001", "0001:0a:20", "0001:100:00", "x:00:00", "0000:00:00:00"] {
            #expect(Slot.Address(text) == nil, "\(text)")
        }
    }
}
