// Habits 25 to 28: unbind and removal that wait for holders, and the device lock.

import Inventory
import PCI
import Testing
import TestSupport

@testable import SimulatedHost

@Suite("The simulated kernel's blocking calls")
struct KernelBlockingTests {
    typealias Refusal = SimulatedKernel.Refusal

    @Test("unbind while a device fd is open: the write blocks, REQ fires, the driver link and vfio-dev vanish at once")
    func unbind() throws {
        var kernel = try takenKernel()
        let (group, _) = try kernel.openOwned(1)
        let device = try kernel.getDevice(group, network)
        let seen = kernel.uevents.count
        let operation = try kernel.blocked(.unbind(network, from: "vfio-pci"))
        #expect(kernel.driver(network) == nil)
        #expect(kernel.vfioNumber(of: network) == nil)
        #expect(kernel.events(since: seen) == ["remove vfio-dev/vfio0 DEVNAME=vfio/devices/vfio0"])
        #expect(kernel.requests(for: network) == 1)
        kernel.remindHolders()
        #expect(kernel.requests(for: network) == 2, "and about every 10 s")
        #expect(kernel.outcome(of: operation) == .blocked(operation))
        #expect(refusal { () throws(Refusal) in try kernel.getDevice(group, network) } == .enodev)
        #expect(kernel.isOwned(1))
        try kernel.close(device)
        #expect(kernel.outcome(of: operation) == .done, "it completes when the holder closes or dies")
        #expect(kernel.events(since: seen).suffix(2) == ["remove vfio/1 DEVNAME=vfio/1", "unbind pci/0000:01:00.0"])
        #expect(kernel.blockedOperations.isEmpty)
    }

    @Test("on 6.1 nothing is announced of an unbind that waits, and of what sysfs shows only the driver link goes")
    func unannounced() throws {
        var kernel = try takenKernel(release: "6.1.0-56-amd64")
        let (group, _) = try kernel.openOwned(1)
        let device = try kernel.getDevice(group, network)
        let seen = kernel.uevents.count
        let operation = try kernel.blocked(.unbind(network, from: "vfio-pci"))
        #expect(kernel.driver(network) == nil)
        #expect(kernel.vfioNumber(of: network) == 0)
        #expect(kernel.events(since: seen) == [])
        try kernel.close(device)
        #expect(kernel.outcome(of: operation) == .done)
        #expect(
            kernel.events(since: seen) == [
                "remove vfio-dev/vfio0", "remove vfio/1 DEVNAME=vfio/1", "unbind pci/0000:01:00.0",
            ])
    }

    @Test("a cdev that is OPEN, not bound, blocks unbind and removal without REQ", arguments: [false, true])
    func openCdev(isRemoval: Bool) throws {
        var kernel = try takenKernel()
        let cdev = try kernel.openCdev(network)
        let operation = try kernel.blocked(isRemoval ? .remove(network) : .unbind(network, from: "vfio-pci"))
        #expect(kernel.requests(for: network) == 0)
        let iommufd = try kernel.openIOMMUFD()
        #expect(refusal { () throws(Refusal) in try kernel.bindIOMMUFD(cdev, iommufd) } == .enodev)
        try kernel.close(cdev)
        #expect(kernel.outcome(of: operation) == .done)
    }

    @Test("cdev BIND: unbind blocks and REQ fires; only the last copy's close lets it go on")
    func boundCdev() throws {
        var kernel = try takenKernel()
        let cdev = try kernel.openCdev(network)
        try kernel.bindIOMMUFD(cdev, try kernel.openIOMMUFD())
        try kernel.copy(cdev)
        let operation = try kernel.blocked(.unbind(network, from: "vfio-pci"))
        #expect(kernel.requests(for: network) == 1)
        try kernel.close(cdev)
        #expect(kernel.outcome(of: operation) == .blocked(operation))
        try kernel.close(cdev)
        #expect(kernel.outcome(of: operation) == .done)
    }

    @Test("unbind with only group or container open: does not block; GET_DEVICE_FD then ENODEV")
    func onlyGroup() throws {
        var kernel = try takenKernel()
        try kernel.take(sound)
        let (group, _) = try kernel.openOwned(1)
        try kernel.done(.unbind(network, from: "vfio-pci"))
        #expect(refusal { () throws(Refusal) in try kernel.getDevice(group, network) } == .enodev)
        #expect(kernel.isOwned(1))
    }

    @Test("device_del while a device fd is open: removal blocks like unbind; the device stays in sysfs until released")
    func removal() throws {
        var kernel = try takenKernel()
        let (group, _) = try kernel.openOwned(1)
        let device = try kernel.getDevice(group, network)
        guard case .blocked(let operation) = kernel.unplug(network) else {
            Issue.record("it did not block")
            return
        }
        #expect(kernel.inventory[network] != nil)
        #expect(kernel.requests(for: network) == 1)
        try kernel.close(device)
        #expect(kernel.outcome(of: operation) == .done)
        #expect(kernel.inventory[network] == nil)
        try kernel.done(.rescan)
        #expect(kernel.inventory[network] == nil, "it was pulled out")
    }

    @Test(
        "6.1: while an unbind is blocked, reading and writing driver_override wait until it ends; 6.12: neither blocks")
    func deviceLock() throws {
        var old = try takenKernel(release: "6.1.176")
        let (group, _) = try old.openOwned(1)
        let held = try old.getDevice(group, network)
        _ = try old.blocked(.unbind(network, from: "vfio-pci"))
        let write = try old.blocked(.driverOverride(network, "e1000e\n"))
        #expect(old.inventory[network]?.driverOverride == .unknown(.deviceBusy))
        var read: SimulatedKernel.Refusal?
        do throws(Refusal) { _ = try old.readDriverOverride(of: network) } catch { read = error }
        guard case .blocked(let reading)? = read else {
            Issue.record("the read did not wait")
            return
        }
        try old.close(held)
        #expect(old.outcome(of: write) == .done)
        #expect(old.outcome(of: reading) == .done)
        #expect(try old.readDriverOverride(of: network) == "e1000e")

        var new = try takenKernel()
        _ = try new.openCdev(network)
        _ = try new.blocked(.unbind(network, from: "vfio-pci"))
        try new.done(.driverOverride(network, "e1000e\n"))
        #expect(try new.readDriverOverride(of: network) == "e1000e")
        #expect(new.inventory[network]?.driverOverride == .present("e1000e"))
    }

    @Test("what takes the device lock waits in turn behind a blocked unbind; other devices go on")
    func queue() throws {
        var kernel = try takenKernel()
        let cdev = try kernel.openCdev(network)
        let unbind = try kernel.blocked(.unbind(network, from: "vfio-pci"))
        try kernel.done(.driverOverride(network, "\n"))
        let bind = try kernel.blocked(.bind(network, to: "e1000e"))
        let again = try kernel.blocked(.bind(network, to: "e1000e"))
        _ = try kernel.blocked(.reset(network))
        try kernel.take(disk)
        #expect(kernel.blockedOperations.count == 4)
        try kernel.close(cdev)
        #expect(kernel.outcome(of: unbind) == .done)
        #expect(kernel.outcome(of: bind) == .done)
        #expect(kernel.outcome(of: again) == .failed(.ebusy))
        #expect(kernel.driver(network) == "e1000e")
        #expect(kernel.blockedOperations.isEmpty)
    }

    @Test("a blocked removal makes every other removal and rescan of the host wait")
    func rescanLock() throws {
        var kernel = try takenKernel()
        let cdev = try kernel.openCdev(network)
        _ = try kernel.blocked(.remove(network))
        let other = try kernel.blocked(.remove(disk))
        let rescan = try kernel.blocked(.rescan)
        guard case .blocked(let pulled) = kernel.unplug(sound) else {
            Issue.record("it did not wait")
            return
        }
        try kernel.close(cdev)
        for operation in [other, rescan, pulled] { #expect(kernel.outcome(of: operation) == .done) }
        #expect(kernel.driver(disk) == "nvme")
        #expect(kernel.driver(network) == "e1000e")
        #expect(kernel.inventory[sound] == nil)
    }
}
