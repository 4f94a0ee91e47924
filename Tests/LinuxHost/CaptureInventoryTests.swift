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

    @Test("has every device and every host bridge", arguments: Capture.own + Capture.real)
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

    @Test("has domains wider than 16 bits, and 64 readable bytes make ACS unknown", arguments: Capture.real)
    @LoopActor func partlyReadable(capture: Capture) async throws {
        let inventory = try await LinuxHost(root: capture.root).readInventory()
        switch capture.name {
        case "hwloc-2pa-pcidomain32bits":
            #expect(inventory.hostBridges.contains { $0.id == HostBridgeID(domain: 0x10000, bus: 0) })
            #expect(inventory.devices.contains { $0.address.name == "10000:00:04.0" })
        case "hwloc-xeon-2s-pcilocality":
            let ports = inventory.devices.compactMap(\.pci).filter(\.isBridge)
            #expect(!ports.isEmpty)
            for port in ports { #expect(port.capabilities.acs == .unknown(.headerOnly)) }
        case "ghw-alderlake-laptop-groups":
            for device in inventory.devices { #expect(device.pci?.capabilities.acs == .unknown(.noConfig)) }
        default: break
        }
    }
}
