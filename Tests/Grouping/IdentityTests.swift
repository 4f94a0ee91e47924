// What groups are called, and for how long.

import Inventory
import PCI
import Testing
import TestSupport

@testable import Grouping

@Suite("Group identities")
struct IdentityTests {
    @Test("a path has the hops from the root port down, and no bus numbers")
    func path() throws {
        let inventory = machine(
            pciDevice("0000:00:1c.4", isBridge: true),
            pciDevice("0000:3a:00.0", parent: "0000:00:1c.4", isBridge: true),
            pciDevice("0000:3b:02.1", parent: "0000:3a:00.0"))
        let device = try #require(PCIAddress("0000:3b:02.1").flatMap { inventory[$0] })
        #expect(TopologyPath(device, in: inventory)?.description == "pci0000-00_1c.4_00.0_02.1")
    }

    @Test("a virtual function has its physical function's path and its number")
    func virtualFunction() throws {
        let inventory = machine(
            pciDevice("0000:00:01.0", isBridge: true), pciDevice("0000:01:00.0", parent: "0000:00:01.0"),
            pciDevice("0000:01:10.2", parent: "0000:00:01.0", virtual: ("0000:01:00.0", 5)))
        let device = try #require(PCIAddress("0000:01:10.2").flatMap { inventory[$0] })
        #expect(TopologyPath(device, in: inventory)?.description == "pci0000-00_01.0_00.0_vf5")
    }

    @Test("parents that form a ring end")
    func ring() throws {
        let inventory = machine(
            pciDevice("0000:00:01.0", parent: "0000:00:02.0"), pciDevice("0000:00:02.0", parent: "0000:00:01.0"))
        for device in inventory.devices {
            let path = try #require(TopologyPath(device, in: inventory))
            #expect(GroupID(GroupID(path).text) != nil)
        }
    }

    @Test("long names are cut and stay different")
    func longNames() {
        let first = GroupID(bus: "platform", name: String(repeating: "x", count: 300) + "a")
        let second = GroupID(bus: "platform", name: String(repeating: "x", count: 300) + "b")
        #expect(first.text.utf8.count == 128)
        #expect(first != second)
        #expect(first.alternative(12).text.utf8.count <= 128)
    }

    @Test("what is no identity is refused", arguments: ["", "a b", "a/b", "ä", String(repeating: "x", count: 129)])
    func refused(text: String) { #expect(GroupID(text) == nil) }

    @Test("a group keeps its identity when its first member leaves, and when a lower one arrives")
    func kept() {
        let before = Grouping(
            machine(pciDevice("0000:00:01.0", group: 1), pciDevice("0000:00:01.1", group: 1)), policy: .auto)
        #expect(before.groups.map(\.id.text) == ["pci0000-00_01.0"])
        var without = Grouping(machine(pciDevice("0000:00:01.1", group: 1)), policy: .auto)
        without.keepIdentities(of: before.groups)
        #expect(without.groups.map(\.id.text) == ["pci0000-00_01.0"])
        var lower = Grouping(
            machine(pciDevice("0000:00:00.0", group: 1), pciDevice("0000:00:01.1", group: 1)), policy: .auto)
        lower.keepIdentities(of: without.groups)
        #expect(lower.groups.map(\.id.text) == ["pci0000-00_01.0"])
    }

    @Test("a newcomer does not take the identity of a group that was there")
    func newcomer() {
        let before = Grouping(
            machine(pciDevice("0000:00:01.0", group: 1), pciDevice("0000:00:01.1", group: 1)), policy: .auto)
        var after = Grouping(
            machine(pciDevice("0000:00:01.0", group: 2), pciDevice("0000:00:01.1", group: 1)), policy: .auto)
        let withoutFirst = [
            Group(
                id: before.groups[0].id, backend: .kernel, hostBridges: [], kernelGroups: [1],
                members: Array(before.groups[0].members.dropFirst()), isolation: .isolated, claimability: .claimable)
        ]
        after.keepIdentities(of: withoutFirst)
        #expect(Set(after.groups.map(\.id.text)) == ["pci0000-00_01.0", "pci0000-00_01.0-2"])
        #expect(after.groups.first { $0.kernelGroups == [1] }?.id.text == "pci0000-00_01.0")
    }

    @Test(
        "groups that others know are called so: of several that were joined as the first, and no new one as any of them"
    )
    func known() throws {
        func id(_ text: String) throws -> GroupID { try #require(GroupID(text)) }
        let devices = ["0000:00:01.0", "0000:00:02.0", "0000:00:03.0"].compactMap { PCIAddress($0) }
            .map { DeviceAddress.pci($0) }
        var joined = Grouping(
            machine(
                pciDevice("0000:00:01.0", group: 1), pciDevice("0000:00:02.0", group: 1),
                pciDevice("0000:00:03.0", group: 2)), policy: .auto)
        // The second one has the name that the third group would have by itself; what is gone gives its name to nobody.
        joined.keepIdentities(of: [
            KnownGroup(try id("gone"), [.other(bus: "platform", name: "gone")]),
            KnownGroup(try id("second"), [devices[1]]), KnownGroup(try id("first"), [devices[0]]),
            KnownGroup(try id("empty"), []),
        ])
        #expect(joined.groups.map(\.id.text) == ["second", "pci0000-00_03.0"])
        var clash = Grouping(
            machine(pciDevice("0000:00:02.0", group: 1), pciDevice("0000:00:03.0", group: 2)), policy: .auto)
        clash.keepIdentities(of: [KnownGroup(try id("pci0000-00_03.0"), [devices[1]])])
        #expect(clash.groups.map(\.id.text) == ["pci0000-00_03.0", "pci0000-00_03.0-2"])
    }

    @Test("of a group that was split, the part with the first member keeps the identity")
    func split() {
        let before = Grouping(
            machine(pciDevice("0000:00:01.0", group: 1), pciDevice("0000:00:02.0", group: 1)), policy: .auto)
        var after = Grouping(
            machine(pciDevice("0000:00:01.0", group: 2), pciDevice("0000:00:02.0", group: 3)), policy: .auto)
        after.keepIdentities(of: before.groups)
        #expect(after.groups.map(\.id.text) == ["pci0000-00_01.0", "pci0000-00_02.0"])
    }
}
