// Habits 29 to 33: hotplug, group numbers, SR-IOV.

import HostSnapshot
import Inventory
import PCI
import Testing
import TestSupport

@testable import SimulatedHost

@Suite("The simulated kernel's hotplug")
struct KernelHotplugTests {
    let guest = pciDevice("0000:01:00.2", parent: "0000:00:01.0", driver: "igb")

    @Test(
        "hotplug into a claimed group: `add` only, device attach failed (-16); driverless after release until drivers_probe"
    )
    func owned() throws {
        var kernel = try takenKernel()
        let (group, _) = try kernel.openOwned(1)
        let seen = kernel.uevents.count
        try kernel.plug(guest, into: .group(1))
        #expect(kernel.events(since: seen) == ["add pci/0000:01:00.2"])
        #expect(kernel.log.last == "pci 0000:01:00.2: device attach failed (-16)")
        #expect(kernel.driver(guest.address) == nil)
        try kernel.close(group)
        #expect(kernel.driver(guest.address) == nil)
        try kernel.done(.driversProbe(guest.address))
        #expect(kernel.driver(guest.address) == "igb")
    }

    @Test("hotplug into a group bound to vfio but not opened: the host driver binds; the group becomes non-viable")
    func unowned() throws {
        var kernel = try takenKernel()
        #expect(kernel.isViable(1))
        try kernel.plug(guest, into: .group(1))
        #expect(kernel.driver(guest.address) == "igb")
        #expect(!kernel.isViable(1))
    }

    @Test("hotplug with the module not yet loaded: a pin written at `add` holds")
    func lateModule() throws {
        var kernel = try takenKernel()
        kernel.register(KernelDriver("igb", isLoaded: false))
        try kernel.plug(guest, into: .group(1))
        #expect(kernel.driver(guest.address) == nil)
        try kernel.done(.driverOverride(guest.address, "none-such\n"))
        try kernel.loadModule("igb")
        #expect(kernel.driver(guest.address) == nil)
        #expect(kernel.isViable(1))
    }

    @Test("hotplug behind an empty root port: a new group; freed numbers are REUSED")
    func numbers() throws {
        var kernel = kernel()
        let first = pciDevice("0000:05:00.0", driver: "igb")
        try kernel.plug(first, into: .newGroup)
        #expect(kernel.group(first.address) == 0)
        #expect(kernel.unplug(disk) == .done)
        #expect(kernel.inventory.kernelGroup(2) == nil)
        let second = pciDevice("0000:06:00.0", driver: "igb")
        try kernel.plug(second, into: .newGroup)
        #expect(kernel.group(second.address) == 2)
        #expect(kernel.inventory.kernelGroups.map(\.number) == [0, 1, 2])
        let third = pciDevice("0000:07:00.0")
        try kernel.plug(third, into: .noGroup)
        #expect(kernel.group(third.address) == nil)
        #expect(throws: KernelErrno.einval) { try kernel.plug(third, into: .newGroup) }
        #expect(throws: KernelErrno.enodev) { try kernel.plug(pciDevice("0000:08:00.0"), into: .group(77)) }
    }

    @Test(
        "drivers_autoprobe=0 + hotplug: ignored on 6.1 and 6.12, honoured on 7.3",
        arguments: ["6.1.176", "6.12.95", "7.3.4"])
    func autoprobe(release: String) throws {
        var kernel = kernel(release: release)
        try kernel.done(.driversAutoprobe(false))
        try kernel.plug(guest, into: .group(1))
        #expect(kernel.driver(guest.address) == (release == "7.3.4" ? nil : "igb"))
    }

    @Test("a device without a group cannot be taken: the probe fails")
    func withoutGroup() throws {
        var kernel = kernel()
        try kernel.plug(pciDevice("0000:05:00.0", driver: "igb"), into: .noGroup)
        try kernel.take(device("0000:05:00.0"))
        #expect(kernel.driver(device("0000:05:00.0")) == nil)
    }

    @Test(
        "sriov_numvfs: VFs vanish with their groups and appear with groups; a changed count is EBUSY, too many ERANGE")
    func virtualFunctions() async throws {
        var kernel = SimulatedKernel(try await SimulatedHost.demo().readInventory())
        let physical = PCIAddress(domain: 0, bus: 0x83, device: 0, function: 0)
        let virtual = device("0000:83:00.1")
        #expect(kernel.write(.numVFs(physical, 2)) == .failed(.ebusy))
        #expect(kernel.write(.numVFs(physical, 257)) == .failed(.erange))
        #expect(kernel.write(.numVFs(physical, 4)) == .done)
        #expect(kernel.write(.numVFs(PCIAddress(domain: 0, bus: 3, device: 0, function: 0), 1)) == .failed(.enoent))
        let cdev = try kernel.openCdev(device("0000:83:00.3"))
        let operation = try kernel.blocked(.numVFs(physical, 0))
        try kernel.close(cdev)
        #expect(kernel.outcome(of: operation) == .done)
        #expect(kernel.inventory[virtual] == nil)
        #expect(kernel.inventory[physical]?.pci?.virtualFunctions == [])
        #expect(kernel.inventory[physical]?.pci?.capabilities.sriov.value?.isEnabled == false)
        #expect(kernel.inventory.kernelGroup(18) == nil)
        try kernel.done(.numVFs(physical, 2))
        let made = try #require(kernel.inventory[virtual])
        #expect(made.driver == "iavf")
        #expect(made.kernelGroup == 18)
        #expect(made.pci?.virtualFunction == .init(physicalFunction: physical, index: 0))
        #expect(kernel.inventory[physical]?.pci?.virtualFunctions.count == 2)
        #expect(kernel.inventory.kernelGroup(19)?.reservedRegions.count == 1)
        try kernel.done(.unbind(.pci(physical), from: "ice"))
        #expect(kernel.inventory[virtual] == nil, "the VFs go with the PF's driver")
        #expect(kernel.write(.numVFs(physical, 2)) == .failed(.enoent))
    }
}
