// Functions of the chipset, and devices that answer nothing but ones: what is refused, and what merely comes along.

import EventLoop
import Grouping
import Host
import Inventory
import PCI
import Registry
import SimulatedHost
import Testing
import TestSupport

@testable import Takeover

@Suite("Functions of the chipset", .timeLimit(.minutes(15)))
struct ChipsetTests {
    private static let bridge = device("0000:00:1f.0")
    private static let sound = device("0000:00:1f.3")
    private static let bus = device("0000:00:1f.4")

    init() throws { try EventLoop.main.runInBackground() }

    /// A machine with a chipset's usual group: an ISA bridge, sound, an SMBus controller.
    @LoopActor private func machine() throws -> TestMachine {
        try TestMachine(more: [
            pciDevice("0000:00:1f.0", group: 10, classCode: 0x060100),
            pciDevice("0000:00:1f.3", group: 10, classCode: 0x040300, driver: "snd_hda_intel"),
            pciDevice("0000:00:1f.4", group: 10, classCode: 0x0c0500, driver: "i801_smbus"),
        ])
    }

    private func refused(_ result: Result<Takeover.Granted, TakeoverError>) -> [DeviceUse]? {
        if case .failure(.inUse(let uses)) = result { uses } else { nil }
    }

    @Test("what was asked for by its address is refused, unless it is forced")
    @LoopActor func asked() async throws {
        let machine = try machine()
        let daemon = try await machine.start()
        let before = try await machine.bindings()
        let uses = refused(await machine.claim(daemon, Self.bus))
        #expect(
            uses == [
                DeviceUse(Self.bridge, .chipset(what: "an ISA bridge")),
                DeviceUse(Self.bus, .chipset(what: "an SMBus controller")),
            ])
        // One that is asked for beside another member is meant as well.
        let both = refused(await machine.claim(daemon, Self.sound, Self.bus))
        #expect(both == [DeviceUse(Self.bus, .chipset(what: "an SMBus controller"))])
        #expect(try await machine.bindings() == before)
        _ = try await machine.claim(daemon, Self.bus, force: [Self.bridge, Self.bus]).get()
    }

    @Test("what comes along is named in the reply, and refuses nothing")
    @LoopActor func along() async throws {
        let machine = try machine()
        let daemon = try await machine.start()
        let granted = try await machine.claim(daemon, Self.sound).get()
        #expect(
            granted.uses == [
                DeviceUse(Self.bridge, .chipsetAlong(what: "an ISA bridge")),
                DeviceUse(Self.bus, .chipsetAlong(what: "an SMBus controller")),
            ])
    }

    @Test("a group that is asked for by its name is refused where it has nothing else")
    @LoopActor func groups() throws {
        let registry = Registry(
            TestSupport.machine(
                pciDevice("0000:00:00.0", group: 0, classCode: 0x060000),
                pciDevice("0000:00:01.0", group: 1, classCode: 0x060000),
                pciDevice("0000:00:01.1", group: 1, isBridge: true, driver: "pcieport"),
                pciDevice("0000:01:00.0", parent: "0000:00:01.1", group: 1)), policy: .auto)
        let snapshot = registry.snapshot
        func kinds(_ member: String, _ selectors: (GroupRecord) -> [GroupSelector]) throws -> [DeviceUse.Kind] {
            let record = try #require(snapshot.group(of: device(member)))
            return ChipsetFunctions.uses(record, askedBy: selectors(record)).map(\.kind)
        }
        #expect(try kinds("0000:00:00.0") { [.group($0.id.text)] } == [.chipset(what: "a host bridge")])
        // A bridge that stays where it is, and a dummy host bridge beside it, keep nobody from the card.
        #expect(try kinds("0000:00:01.0") { [.group($0.id.text)] } == [.chipsetAlong(what: "a host bridge")])
        #expect(
            try kinds("0000:00:01.0") { _ in [.device(device("0000:00:01.1"))] } == [
                .chipsetAlong(what: "a host bridge")
            ])
        let bridges = EndpointPattern(vendorID: 0x8086, deviceID: nil, classCode: ClassCode(rawValue: 0x060000))
        #expect(
            try kinds("0000:00:01.0") { _ in [.endpoint(bridges, count: 1)] } == [.chipset(what: "a host bridge")])
        let cards = EndpointPattern(vendorID: 0x8086, deviceID: nil, classCode: ClassCode(rawValue: 0x020000))
        #expect(
            try kinds("0000:00:01.0") { _ in [.endpoint(cards, count: 1)] } == [.chipsetAlong(what: "a host bridge")])
    }

    @Test("what is of the chipset, and what only has its class")
    func names() {
        func name(
            _ classCode: UInt32, vendor: UInt16 = 0x8086, at address: String = "0000:00:14.0", parent: String? = nil
        ) -> String? {
            var device = pciDevice(address, parent: parent, classCode: classCode)
            guard var function = device.pci else { return nil }
            function.identification.vendorID = vendor
            device.kind = .pci(function)
            return ChipsetFunctions.name(of: device)
        }
        #expect(name(0x060000) == "a host bridge")
        #expect(name(0x060000, vendor: 0x1022, at: "0000:00:18.3") == "a data fabric")
        #expect(name(0x060000, vendor: 0x1022, at: "0000:00:01.0") == "a host bridge")
        #expect(name(0x060100) == "an ISA bridge")
        #expect(name(0x0c0500) == "an SMBus controller")
        #expect(name(0x050000) == "a memory controller of the chipset")
        #expect(name(0x058000) == "a memory controller of the chipset")
        #expect(name(0x0c8000, at: "0000:00:1f.5") == "the controller of the firmware's flash")
        #expect(name(0x0c8000, at: "0000:00:1e.2") == nil)
        #expect(name(0x080600) == "an IOMMU")
        #expect(name(0x108000, vendor: 0x1022, parent: "0000:00:08.1") == "a platform security processor")
        // ivshmem of QEMU, an FPGA, a CXL expander, a crypto card, an Ethernet card.
        #expect(name(0x050000, vendor: 0x1af4) == nil)
        #expect(name(0x058000, vendor: 0x10ee, parent: "0000:00:01.0") == nil)
        #expect(name(0x050210, parent: "0000:00:01.0") == nil)
        #expect(name(0x108000, vendor: 0x177d, parent: "0000:00:01.0") == nil)
        #expect(name(0x020000) == nil)
        #expect(ChipsetFunctions.name(of: pciDevice("0000:00:01.0", isBridge: true)) == nil)
    }

    @Test("a function that a vfio driver has already is not taken from the host")
    @LoopActor func held() async throws {
        let machine = TestSupport.machine(
            pciDevice("0000:00:1f.0", group: 10, classCode: 0x060100, driver: "vfio-pci"))
        let record = try #require(Registry(machine, policy: .auto).snapshot.group(of: Self.bridge))
        #expect(ChipsetFunctions.uses(record, askedBy: [.device(Self.bridge)]) == [])
    }

    @Test("a device that answers nothing but ones is refused, and what helps is said")
    @LoopActor func silent() async throws {
        let machine = try TestMachine()
        machine.host.perform { kernel in
            kernel.setReset(.leavesDead, of: TestMachine.triple[1])
            _ = kernel.write(.reset(TestMachine.triple[1]))
        }
        let daemon = try await machine.start()
        let silent = DeviceUse(TestMachine.triple[1], .silent)
        #expect(refused(await machine.claim(daemon, TestMachine.triple[0])) == [silent])
        #expect(daemon.life.effects == 0)
        #expect(silent.rule.remedy.contains("rescan"))
        _ = try await machine.claim(daemon, TestMachine.triple[0], force: [TestMachine.triple[1]]).get()
    }
}
