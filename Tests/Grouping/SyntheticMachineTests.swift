// Machines that nobody captured for this repository, as their sysfs would be, byte by byte: the kernel groups written in
// are what the kernel's procedure gives, followed by hand. The rules must find them, from what is read, and be certain.

import EventLoop
import Inventory
import LinuxHost
import PCI
import Testing
import TestSupport

@testable import Grouping

@Suite("Machines of other kinds", .timeLimit(.minutes(15)))
struct SyntheticMachineTests {
    private static let isolating: (UInt16, UInt16) = (0x1d, 0x1d)

    init() throws { try EventLoop.main.runInBackground() }

    private func bridge(
        _ sysfs: SyntheticSysfs, _ address: String, below parent: String, _ type: UInt8?, acs: (UInt16, UInt16)? = nil,
        buses: (UInt8, UInt8, UInt8), multifunction: Bool = false, ari: Bool = false, id: UInt32 = 0x1022_1483,
        group: Int?
    ) {
        sysfs.add(
            address, below: parent, id: id, classCode: 0x060400,
            config: ConfigBuilder(function: type, acs: acs, buses: buses, multifunction: multifunction, ari: ari).bytes,
            kernelGroup: group)
    }

    private func endpoint(
        _ sysfs: SyntheticSysfs, _ address: String, below parent: String, _ type: UInt8?, acs: (UInt16, UInt16)? = nil,
        multifunction: Bool = false, id: UInt32 = 0x1af4_1041, classCode: UInt32 = 0x020000, group: Int?
    ) {
        sysfs.add(
            address, below: parent, id: id, classCode: classCode,
            config: ConfigBuilder(function: type, acs: acs, multifunction: multifunction).bytes, kernelGroup: group)
    }

    /// The rules give the kernel groups that were written in, and are certain of them, with a reason for every edge.
    @LoopActor private func expectConfirmed(_ sysfs: SyntheticSysfs) async throws {
        let inventory = try await LinuxHost(root: sysfs.root).readInventory()
        let translated = inventory.devices.filter { $0.kernelGroup != nil }
        let kernel = Set(Dictionary(grouping: translated, by: \.kernelGroup).values.map { Set($0.map(\.address)) })
        let prediction = Prediction(inventory)
        #expect(Set(prediction.groups.map(Set.init)) == kernel)
        #expect(prediction.edges.allSatisfy { $0.isCertain })
        let explainer = Explainer(inventory)
        for group in Grouping(inventory, policy: .auto).groups {
            #expect(explainer.explain(group).agreement == .confirmed, "\(group.id)")
        }
        // Who could read less knows less, and says so, and never takes more apart.
        let poorer = Prediction(inventory.unreadable)
        for group in kernel {
            let others = group.first.flatMap { poorer.group(of: $0) } ?? []
            #expect(Set(others).isSuperset(of: group))
        }
    }

    @Test("an AMD server: four roots, an IOMMU in each, dummy bridges beside the ports, functions without ACS")
    @LoopActor func amdServer() async throws {
        let sysfs = SyntheticSysfs()
        var group = 0
        func next() -> Int {
            group += 1
            return group
        }
        for root: UInt8 in [0x00, 0x40, 0x80, 0xc0] {
            let host = "pci0000:" + hexadecimal(root, width: 2)
            func at(_ bus: UInt8, _ slot: String) -> String { "0000:\(hexadecimal(root + bus, width: 2)):\(slot)" }
            // The IOMMU translates for nobody's memory: it is in no group.
            endpoint(sysfs, at(0, "00.2"), below: host, nil, id: 0x1022_1481, classCode: 0x080600, group: nil)
            endpoint(sysfs, at(0, "00.0"), below: host, nil, multifunction: true, id: 0x1022_1480, group: next())
            // The dummy bridge fails, being conventional; the port beside it passes, so that both are alone.
            endpoint(sysfs, at(0, "01.0"), below: host, nil, multifunction: true, id: 0x1022_1482, group: next())
            bridge(
                sysfs, at(0, "01.1"), below: host, 4, acs: (0x5f, 0x1d), buses: (root, root + 1, root + 1),
                multifunction: true, group: next())
            endpoint(sysfs, at(1, "00.0"), below: at(0, "01.1"), 0, group: next())
            // An internal port without ACS goes with the dummy bridge, and with all functions behind it.
            let internalGroup = next()
            endpoint(sysfs, at(0, "07.0"), below: host, nil, multifunction: true, id: 0x1022_1482, group: internalGroup)
            bridge(
                sysfs, at(0, "07.1"), below: host, 4, buses: (root, root + 2, root + 2), multifunction: true,
                id: 0x1022_1484, group: internalGroup)
            for function in [0, 2, 3] {
                endpoint(
                    sysfs, at(2, "00.\(function)"), below: at(0, "07.1"), 0, multifunction: true,
                    id: 0x1022_1485, group: internalGroup)
            }
            // Behind one with ACS, functions with an empty ACS capability are each alone, those without together.
            bridge(
                sysfs, at(0, "08.1"), below: host, 4, acs: (0x5f, 0x1d), buses: (root, root + 3, root + 3),
                multifunction: true, id: 0x1022_1484, group: next())
            let crypto = next()
            endpoint(sysfs, at(3, "00.0"), below: at(0, "08.1"), 0, multifunction: true, group: crypto)
            endpoint(sysfs, at(3, "00.1"), below: at(0, "08.1"), 0, acs: (0, 0), multifunction: true, group: next())
            endpoint(sysfs, at(3, "00.2"), below: at(0, "08.1"), 0, multifunction: true, group: crypto)
        }
        try await expectConfirmed(sysfs)
    }

    @Test("virtual functions with ARI, on the physical function's bus and on one that has no bridge of its own")
    @LoopActor func virtualFunctions() async throws {
        let sysfs = SyntheticSysfs()
        let port = "0000:3a:00.0"
        bridge(
            sysfs, port, below: "pci0000:3a", 4, acs: Self.isolating, buses: (0x3a, 0x3b, 0x3c), ari: true, group: 0)
        // Two physical functions without ACS are together.
        for function in 0...1 {
            endpoint(
                sysfs, "0000:3b:00.\(function)", below: port, 0, multifunction: true, id: 0x15b3_101b, group: 1)
        }
        // With ARI a physical function may have any number: this one fails like its slot's other one.
        endpoint(sysfs, "0000:3b:02.0", below: port, 0, multifunction: true, id: 0x15b3_101b, group: 2)
        endpoint(sysfs, "0000:3b:02.1", below: port, 0, multifunction: true, id: 0x15b3_101b, group: 2)
        for (number, address) in ["0000:3b:00.2", "0000:3b:02.2", "0000:3c:00.0", "0000:3c:00.1"].enumerated() {
            // A virtual function's configuration space has ones for its IDs, and no header of several functions.
            var bytes = ConfigBuilder(function: 0).bytes
            bytes.replaceSubrange(0..<4, with: [0xff, 0xff, 0xff, 0xff])
            sysfs.add(address, below: port, id: 0x15b3_101c, config: bytes, kernelGroup: 3 + number)
            sysfs.virtual(address, number: number, of: "0000:3b:00.0")
        }
        try await expectConfirmed(sysfs)
    }

    @Test("an ARM server: ports that offer less, a bridge to PCI whose second card has no group, platform devices")
    @LoopActor func armServer() async throws {
        let sysfs = SyntheticSysfs()
        let host = "devices/platform/ARMH0000:00/pci0004:00"
        // The host bridge itself is outside of what the IOMMU translates.
        endpoint(sysfs, "0004:00:00.0", below: host, nil, id: 0x1def_e100, classCode: 0x060000, group: nil)
        bridge(
            sysfs, "0004:00:01.0", below: host, 4, acs: (0x13, 0x11), buses: (0, 1, 2), id: 0x1af4_0001, group: 0)
        bridge(sysfs, "0004:01:00.0", below: "0004:00:01.0", 7, buses: (1, 2, 2), id: 0x1a03_1150, group: 1)
        endpoint(sysfs, "0004:02:00.0", below: "0004:01:00.0", nil, id: 0x1a03_2000, group: nil)
        endpoint(sysfs, "0004:02:02.0", below: "0004:01:00.0", nil, id: 0x1a03_2402, group: 1)
        bridge(sysfs, "0004:00:05.0", below: host, 4, buses: (0, 3, 3), id: 0x1def_e00a, group: 2)
        endpoint(sysfs, "0004:03:00.0", below: "0004:00:05.0", 0, group: 3)
        sysfs.add(bus: "platform", name: "arm-dma.0", kernelGroup: 4)
        let inventory = try await LinuxHost(root: sysfs.root).readInventory()
        let prediction = Prediction(inventory)
        #expect(prediction.groups.map { $0.map(\.name) }.filter { $0.count > 1 } == [["0004:01:00.0", "0004:02:02.0"]])
        #expect(prediction.groups.count == 4 && prediction.edges.allSatisfy { $0.isCertain })
        let grouping = Grouping(inventory, policy: .auto)
        #expect(grouping.groups.count == 5)
        #expect(Set(grouping.ungrouped.map(\.device.name)) == ["0004:00:00.0", "0004:02:00.0"])
        let explainer = Explainer(inventory)
        for group in grouping.groups {
            let isPlatform = group.members.first?.bus == "platform"
            #expect(explainer.explain(group).agreement == (isPlatform ? .notPredicted : .confirmed))
        }
    }

    @Test("an old desktop: conventional bridges one behind the other, a hidden one, a card with a wrong requester ID")
    @LoopActor func oldDesktop() async throws {
        let sysfs = SyntheticSysfs()
        let host = "pci0000:00"
        bridge(sysfs, "0000:00:1e.0", below: host, nil, buses: (0, 1, 2), id: 0x8086_244e, group: 0)
        endpoint(sysfs, "0000:01:00.0", below: "0000:00:1e.0", nil, group: 0)
        bridge(sysfs, "0000:01:01.0", below: "0000:00:1e.0", nil, buses: (1, 2, 2), id: 0x3388_0021, group: 0)
        endpoint(sysfs, "0000:02:00.0", below: "0000:01:01.0", nil, group: 0)
        endpoint(sysfs, "0000:02:01.0", below: "0000:01:01.0", nil, group: 0)
        // A chipset port without ACS that the kernel told to isolate.
        var port = ConfigBuilder(function: 4, buses: (0, 3, 4)).bytes
        port[0xdb] = 0x04
        port.replaceSubrange(0..<4, with: [0x86, 0x80, 0x10, 0x8c])
        sysfs.add("0000:00:1c.0", below: host, id: 0x8086_8c10, classCode: 0x060400, config: port, kernelGroup: 1)
        bridge(sysfs, "0000:03:00.0", below: "0000:00:1c.0", nil, buses: (3, 4, 4), id: 0x1b21_1080, group: 2)
        endpoint(sysfs, "0000:04:00.0", below: "0000:03:00.0", nil, group: 2)
        // Without ACS and with nobody's word for it, the port goes with what is behind it.
        bridge(sysfs, "0000:00:01.0", below: host, 4, buses: (0, 5, 5), id: 0x8086_0c01, group: 3)
        endpoint(sysfs, "0000:05:00.0", below: "0000:00:01.0", 1, multifunction: true, id: 0x1b4b_9230, group: 3)
        endpoint(sysfs, "0000:05:00.1", below: "0000:00:01.0", 1, multifunction: true, id: 0x1b4b_91a4, group: 3)
        // Intel's own functions of the root complex isolate, though they are several and have no ACS.
        for function in [0, 2, 3] {
            endpoint(
                sysfs, "0000:00:1b.\(function)", below: host, 9, multifunction: true, id: 0x8086_8c20,
                group: 4 + function)
        }
        try await expectConfirmed(sysfs)
    }

    @Test("a switch of which some ports isolate, behind a port that does, and the same behind one that does not")
    @LoopActor func mixedSwitch() async throws {
        for isIsolatingAbove in [true, false] {
            let sysfs = SyntheticSysfs()
            func group(_ number: Int) -> Int { isIsolatingAbove ? number : 0 }
            bridge(
                sysfs, "0000:00:01.0", below: "pci0000:00", 4, acs: isIsolatingAbove ? Self.isolating : nil,
                buses: (0, 1, 9), group: 0)
            bridge(sysfs, "0000:01:00.0", below: "0000:00:01.0", 5, buses: (1, 2, 9), group: group(1))
            let services: [(UInt16, UInt16)?] = [Self.isolating, nil, (0x1d, 0x0d), (0x5d, 0x1d)]
            for (number, acs) in services.enumerated() {
                let (slot, bus) = ("0000:02:0\(number).0", UInt8(3 + number))
                let passes = acs.map { $0.0 & ~$0.1 & 0x1d == 0 } ?? false
                bridge(
                    sysfs, slot, below: "0000:01:00.0", 6, acs: acs, buses: (2, bus, bus), group: group(2 + 2 * number))
                endpoint(
                    sysfs, "0000:0\(bus):00.0", below: slot, 0, group: group(2 + 2 * number + (passes ? 1 : 0)))
            }
            try await expectConfirmed(sysfs)
        }
    }

    @Test("configuration spaces of no, 64, 256 and all bytes side by side: unknown is together, and called unknown")
    @LoopActor func sizes() async throws {
        let sysfs = SyntheticSysfs()
        for (number, size) in [0, 64, 256, 4096].enumerated() {
            let (port, bus) = ("0000:00:0\(number + 1).0", UInt8(number + 1))
            let bytes = ConfigBuilder(function: 4, acs: Self.isolating, buses: (0, bus, bus)).bytes
            sysfs.add(
                port, below: "pci0000:00", id: 0x1022_1483, classCode: 0x060400,
                config: size == 0 ? nil : Array(bytes[..<size]), kernelGroup: 2 * number)
            endpoint(sysfs, "0000:0\(bus):00.0", below: port, 0, group: 2 * number + 1)
        }
        let inventory = try await LinuxHost(root: sysfs.root).readInventory()
        let prediction = Prediction(inventory)
        #expect(prediction.groups.map(\.count) == [2, 2, 2, 1, 1])
        #expect(prediction.edges.allSatisfy { !$0.isCertain })
        // The kernel's groups stay what they are.
        let groups = Grouping(inventory, policy: .auto).groups
        #expect(groups.count == 8)
        let agreements = groups.map { Explainer(inventory).explain($0).agreement }
        #expect(agreements.filter { $0 == .uncertain }.count == 6 && agreements.filter { $0 == .confirmed }.count == 2)
    }

    @Test("PCI domains beyond 16 bits that are not VMD's, and no-IOMMU groups: nobody shares an ID, nobody is isolated")
    @LoopActor func wideDomains() async throws {
        let sysfs = SyntheticSysfs()
        for (number, domain) in ["10000", "2a0b1c2d"].enumerated() {
            bridge(
                sysfs, "\(domain):00:00.0", below: "pci\(domain):00", 4, acs: Self.isolating, buses: (0, 1, 1),
                group: 2 * number)
            endpoint(sysfs, "\(domain):01:00.0", below: "\(domain):00:00.0", 0, group: 2 * number + 1)
        }
        try await expectConfirmed(sysfs)
        for number in 0..<4 { sysfs.kernelGroup(number, "name", "vfio-noiommu") }
        let inventory = try await LinuxHost(root: sysfs.root).readInventory()
        #expect(!inventory.hasPCIKernelGroups)
        let groups = Grouping(inventory, policy: .auto).groups
        #expect(Set(groups.flatMap(\.members)).count == 4)
        for group in groups { #expect(!group.isolation.isIsolated && !group.claimability.isClaimable, "\(group.id)") }
    }
}
