// Inventories of captured machines: everything that is there is in them, as the kernel had it.

import EventLoop
import Inventory
import LinuxHost
import PCI
import Testing
import TestSupport

@Suite("The inventory of a captured machine", .timeLimit(.minutes(15)))
struct CaptureInventoryTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("has every device and every host bridge", .realCaptures, arguments: Capture.all)
    @LoopActor func everything(capture: Capture) async throws {
        let inventory = try await LinuxHost(root: capture.root).readInventory()
        #expect(Set(inventory.devices.map(\.address.name)) == capture.addresses)
        #expect(Set(inventory.hostBridges.map(\.id.description)) == capture.hostBridges)
        for (number, members) in capture.kernelGroups {
            let found = inventory.devices.filter { $0.kernelGroup == number }
            #expect(Set(found.map(\.address.name)) == members)
        }
        #expect(inventory.warnings.isEmpty)
    }

    @Test("shows what a switch, its ports and its devices are")
    @LoopActor func switchPorts() async throws {
        let capture = try #require(Capture.named("q35-intel-rich"))
        let inventory = try await LinuxHost(root: capture.root).readInventory()
        func function(_ name: String) throws -> PCIFunction {
            try #require(PCIAddress(name).flatMap { inventory[$0]?.pci })
        }
        #expect(try function("0000:00:05.0").capabilities.express.value?.kind == .rootPort)
        #expect(try function("0000:03:00.0").capabilities.express.value?.kind == .upstreamPort)
        let port = try function("0000:04:00.0")
        #expect(port.capabilities.express.value?.kind == .downstreamPort)
        #expect(port.isBridge)
        #expect(port.parent == PCIAddress("0000:03:00.0"))
        // QEMU's switch has no ACS, its root ports do.
        #expect(port.capabilities.acs == .absent)
        #expect(try function("0000:00:05.0").capabilities.acs.value?.control == 0x1d)
        #expect(try function("0000:08:00.0").capabilities.express.value?.kind == .pcieToPCIBridge)
        #expect(try function("0000:09:01.0").capabilities.express == .absent)
        let network = try function("0000:05:00.0")
        #expect(network.identification.vendorID == 0x8086)
        #expect(network.identification.deviceID == 0x10d3)
        #expect(network.identification.classCode == ClassCode(rawValue: 0x020000))
        #expect(network.hostBridge == HostBridgeID("pci0000:00"))
        #expect(!network.isBridge)
        let device = try #require(PCIAddress("0000:81:00.0").flatMap { inventory[$0] })
        #expect(device.driver == "nvme")
        #expect(device.iommu == "dmar0")
        #expect(device.numaNode == 1)
        #expect(device.pci?.hostBridge == HostBridgeID("pci0000:80"))
        #expect(inventory.kernelGroup(0)?.type == "DMA")
        #expect(
            inventory.kernelGroup(0)?.reservedRegions == [
                ReservedRegion(start: 0xfee0_0000, last: 0xfeef_ffff, kind: .msi)
            ])
    }

    @Test("links virtual functions and the physical one, both ways")
    @LoopActor func virtualFunctions() async throws {
        let capture = try #require(Capture.named("q35-nvme-sriov"))
        let inventory = try await LinuxHost(root: capture.root).readInventory()
        let physical = try #require(PCIAddress("0000:01:00.0"))
        let virtual = ["0000:01:00.1", "0000:01:00.2"].compactMap { PCIAddress($0) }
        #expect(inventory[physical]?.pci?.virtualFunctions == virtual)
        #expect(inventory[physical]?.pci?.capabilities.sriov.value?.numberOfVFs == 2)
        for (number, address) in virtual.enumerated() {
            #expect(
                inventory[address]?.pci?.virtualFunction
                    == PCIFunction.VirtualFunction(physicalFunction: physical, index: number))
            // Its configuration space has no IDs; sysfs does.
            #expect(inventory[address]?.pci?.identification.vendorID == 0x1b36)
        }
    }

    @Test(
        "calls unknown what its config files do not reach to, and never missing", .realCaptures, arguments: Capture.all)
    @LoopActor func partlyReadable(capture: Capture) async throws {
        for device in try await LinuxHost(root: capture.root).readInventory().devices {
            guard let acs = device.pci?.capabilities.acs else { continue }
            let config = capture.config(of: device.address.name)
            switch config.count {
            case 0: #expect(acs == .unknown(.noConfig), "\(device.address)")
            // Bit 4 of the status register: there is a list of capabilities, and it begins behind the header.
            case 64: #expect(acs == (config[6] & 0x10 == 0 ? .absent : .unknown(.headerOnly)), "\(device.address)")
            // Of PCI Express ACS would be behind these; a conventional function has none anywhere.
            case 256: #expect(acs == (isExpress(config) ? .unknown(.noExtendedConfig) : .absent), "\(device.address)")
            default: #expect(!acs.isUnknown, "\(device.address)")
            }
        }
    }

    /// Whether the list of capabilities has the one of PCI Express, read without the program's own code.
    private func isExpress(_ config: [UInt8]) -> Bool {
        var offset = config[6] & 0x10 == 0 ? 0 : Int(config[0x34])
        for _ in 0..<48 where offset >= 0x40 && config[offset] != 0x10 { offset = Int(config[offset + 1]) }
        return offset >= 0x40
    }

    @Test("is tried with config files of all sizes") func sizes() {
        let sizes = Capture.synthetic.flatMap { capture in capture.addresses.map { capture.config(of: $0).count } }
        #expect(Set(sizes) == [0, 64, 256, 4096])
    }

    @Test("has domains wider than 16 bits")
    @LoopActor func wideDomain() async throws {
        let capture = try #require(Capture.named("wide-domain"))
        let inventory = try await LinuxHost(root: capture.root).readInventory()
        let wide = HostBridgeID(domain: 0x2f00d, bus: 0)
        #expect(Set(inventory.hostBridges.map(\.id)) == [HostBridgeID(domain: 0, bus: 0), wide])
        #expect(
            inventory.devices.filter { $0.pci?.hostBridge == wide }.map(\.address.name) == [
                "2f00d:00:00.0", "2f00d:00:05.0",
            ])
    }
}
