// What depends on another function's driver: the domain behind a VMD, and virtual functions that are made again.

import Host
import HostSnapshot
import Inventory
import PCI
import Testing
import TestSupport

@testable import SimulatedHost

/// Habits 33 and 34.
@Suite("What another function's driver makes")
struct KernelDomainTests {
    private let vmd = device("0000:00:0e.0")
    private let port = device("10000:e0:06.0")
    private let disk = device("10000:e1:00.0")

    private func demo() async throws -> SimulatedKernel {
        SimulatedKernel(try await SimulatedHost.demo().readInventory())
    }

    @Test("vmd: unbinding it takes its domain away, a rescan does not find it, and binding it brings it back")
    func domain() async throws {
        var kernel = try await demo()
        let before = kernel.inventory
        #expect(before.dependents(of: vmd) == [port, disk])
        #expect(before.maker(of: disk) == vmd)
        try kernel.done(.unbind(vmd, from: "vmd"))
        #expect(kernel[port] == nil && kernel[disk] == nil && kernel.driver(vmd) == nil)
        #expect(!kernel.inventory.hostBridges.contains { $0.parent != nil })
        try kernel.done(.rescan)
        #expect(kernel[port] == nil)
        try kernel.take(vmd)
        #expect(kernel[disk] == nil)
        try kernel.done(.driverOverride(vmd, "\n"))
        try kernel.done(.unbind(vmd, from: "vfio-pci"))
        try kernel.done(.driversProbe(vmd))
        #expect(kernel.inventory == before)
        #expect(kernel.driver(disk) == "nvme" && kernel.driver(port) == "pcieport")
    }

    @Test("vmd: its unbind waits for who has a device of the domain open; a removal takes the domain along")
    func blockedDomain() async throws {
        var kernel = try await demo()
        kernel.register(KernelDriver("vfio-pci"))
        let before = kernel.inventory
        try kernel.done(.driverOverride(disk, "vfio-pci\n"))
        try kernel.done(.unbind(disk, from: "nvme"))
        try kernel.done(.driversProbe(disk))
        kernel.settle()
        let cdev = try kernel.openCdev(disk)
        let operation = try kernel.blocked(.unbind(vmd, from: "vmd"))
        #expect(kernel.driver(vmd) == nil && kernel[disk] != nil)
        try kernel.close(cdev)
        #expect(kernel.outcome(of: operation) == .done)
        #expect(kernel[disk] == nil)
        try kernel.done(.driversProbe(vmd))
        #expect(kernel.driver(disk) == "nvme", "a device that was made anew has no override")
        try kernel.done(.remove(vmd))
        #expect(kernel[vmd] == nil && kernel[disk] == nil)
        try kernel.done(.rescan)
        #expect(kernel.inventory == before)
        #expect(kernel.unplug(vmd) == .done)
        try kernel.done(.rescan)
        #expect(kernel[vmd] == nil && kernel[disk] == nil)
    }

    @Test("virtual functions that are made again are in the groups that they were in, with their drivers")
    func madeAgain() async throws {
        var kernel = try await demo()
        let physical = PCIAddress(domain: 0, bus: 0x83, device: 0, function: 0)
        try kernel.done(.driverOverride(device("0000:83:00.1"), "none-such\n"))
        let groups = (1...4).map { kernel.group(device("0000:83:00.\($0)")) }
        try kernel.done(.unbind(.pci(physical), from: "ice"))
        #expect(try kernel.binding(of: .pci(physical))?.virtualFunctionCount == 0)
        try kernel.done(.driversProbe(.pci(physical)))
        try kernel.done(.numVFs(physical, 4))
        #expect((1...4).map { kernel.group(device("0000:83:00.\($0)")) } == groups)
        #expect((1...4).map { kernel.driver(device("0000:83:00.\($0)")) } == Array(repeating: "iavf", count: 4))
        #expect(try kernel.binding(of: .pci(physical))?.virtualFunctionCount == 4)
    }

    @Test("while sriov_numvfs is being written, the physical function's attributes cannot be read")
    func busy() async throws {
        var kernel = try await demo()
        let physical = device("0000:83:00.0")
        guard let address = physical.pci else { return }
        let cdev = try kernel.openCdev(device("0000:83:00.3"))
        _ = try kernel.blocked(.numVFs(address, 0))
        #expect(throws: HostError.deviceBusy(physical)) { try kernel.binding(of: physical) }
        try kernel.close(cdev)
        #expect(try kernel.binding(of: physical)?.virtualFunctionCount == 0)
    }
}
