// Habits 11 to 20: viability, ownership, the legacy group and container, nodes.

import Host
import Inventory
import Testing
import TestSupport

@testable import SimulatedHost

@Suite("The simulated kernel's groups")
struct KernelGroupTests {
    typealias Refusal = SimulatedKernel.Refusal

    @Test(
        "other member driverless or on pci-stub, bridge driverless or on pcieport: viable",
        arguments: ["pcieport", nil])
    func viable(portDriver: String?) throws {
        var kernel = try takenKernel(portDriver: portDriver)
        let group = try kernel.openGroup(1)
        #expect(try kernel.groupStatus(group) == .viable)
        try kernel.take(sound, by: "pci-stub")
        #expect(try kernel.groupStatus(group) == .viable)
    }

    @Test("another member on a host driver: GROUP_GET_STATUS flags=0; SET_CONTAINER EPERM; cdev BIND EPERM")
    func notViable() throws {
        var kernel = try takenKernel(soundDriver: "snd_hda_intel")
        let group = try kernel.openGroup(1)
        let container = kernel.openContainer()
        #expect(try kernel.groupStatus(group) == [])
        #expect(refusal { () throws(Refusal) in try kernel.setContainer(group, container) } == .eperm)
        try kernel.close(group)
        let cdev = try kernel.openCdev(network)
        let iommufd = try kernel.openIOMMUFD()
        #expect(refusal { () throws(Refusal) in try kernel.bindIOMMUFD(cdev, iommufd) } == .eperm)
    }

    @Test("shpchp owns a bridge: the group is not viable; cured by unbinding it; before 5.19 it did not matter")
    func hotplugController() throws {
        var kernel = try takenKernel(portDriver: "shpchp")
        #expect(!kernel.isViable(1))
        try kernel.done(.unbind(port, from: "shpchp"))
        #expect(kernel.isViable(1))
        #expect(try takenKernel(release: "5.18.0", portDriver: "shpchp").isViable(1))
        #expect(try !takenKernel(release: "5.18.0", soundDriver: "snd_hda_intel").isViable(1))
    }

    @Test("all members bound to vfio-pci, nothing open, or the group or a cdev merely open: not owned")
    func unowned() throws {
        var kernel = try takenKernel()
        #expect(!kernel.isOwned(1))
        let cdev = try kernel.openCdev(network)
        #expect(!kernel.isOwned(1))
        try kernel.close(cdev)
        _ = try kernel.openGroup(1)
        #expect(!kernel.isOwned(1))
    }

    @Test("SET_CONTAINER before SET_IOMMU: owned, until UNSET_CONTAINER or close")
    func ownedByContainer() throws {
        var kernel = try takenKernel()
        let group = try kernel.openGroup(1)
        let container = kernel.openContainer()
        try kernel.setContainer(group, container)
        #expect(kernel.isOwned(1))
        #expect(try kernel.groupStatus(group) == [.viable, .containerSet])
        #expect(refusal { () throws(Refusal) in try kernel.setContainer(group, container) } == .einval)
        try kernel.unsetContainer(group)
        #expect(!kernel.isOwned(1))
        try kernel.setContainer(group, container)
        try kernel.close(container)
        #expect(kernel.isOwned(1), "the group keeps its container")
        try kernel.close(group)
        #expect(!kernel.isOwned(1))
    }

    @Test("host driver binds while a container is set: bind EBUSY, drivers_probe EINVAL; binding vfio-pci works")
    func ownedRefusesHostDrivers() throws {
        var kernel = try takenKernel()
        kernel.register(KernelDriver("snd_hda_intel", matches: [.address(sound)]))
        _ = try kernel.openOwned(1)
        #expect(kernel.write(.bind(sound, to: "snd_hda_intel")) == .failed(.ebusy))
        #expect(kernel.write(.driversProbe(sound)) == .failed(.einval))
        #expect(kernel.driver(sound) == nil)
        try kernel.done(.driverOverride(sound, "vfio-pci"))
        try kernel.done(.bind(sound, to: "vfio-pci"))
        #expect(kernel.driver(sound) == "vfio-pci")
    }

    @Test("host driver binds while a cdev is bound: bind EBUSY, drivers_probe EINVAL")
    func boundCdevRefusesHostDrivers() throws {
        var kernel = try takenKernel()
        kernel.register(KernelDriver("snd_hda_intel", matches: [.address(sound)]))
        try kernel.bindIOMMUFD(try kernel.openCdev(network), try kernel.openIOMMUFD())
        #expect(kernel.isOwned(1))
        #expect(kernel.write(.bind(sound, to: "snd_hda_intel")) == .failed(.ebusy))
        #expect(kernel.write(.driversProbe(sound)) == .failed(.einval))
    }

    @Test("host driver binds while ONLY the group fd is open: succeeds, and the group is no longer viable")
    func openGroupRefusesNothing() throws {
        var kernel = try takenKernel()
        kernel.register(KernelDriver("snd_hda_intel", matches: [.address(sound)]))
        let group = try kernel.openGroup(1)
        #expect(try kernel.groupStatus(group) == .viable)
        try kernel.done(.bind(sound, to: "snd_hda_intel"))
        #expect(try kernel.groupStatus(group) == [])
    }

    @Test("second open of the group EBUSY; GET_DEVICE_FD before a container is set EINVAL")
    func openTwice() throws {
        var kernel = try takenKernel()
        let group = try kernel.openGroup(1)
        #expect(refusal { () throws(Refusal) in try kernel.openGroup(1) } == .ebusy)
        #expect(refusal { () throws(Refusal) in try kernel.getDevice(group, network) } == .einval)
        try kernel.close(group)
        _ = try kernel.openGroup(1)
    }

    @Test("a device descriptor keeps its group: UNSET_CONTAINER is EBUSY, and a close of the group changes nothing")
    func deviceKeepsGroup() throws {
        var kernel = try takenKernel()
        let (group, _) = try kernel.openOwned(1)
        let device = try kernel.getDevice(group, network)
        #expect(refusal { () throws(Refusal) in try kernel.unsetContainer(group) } == .ebusy)
        try kernel.close(group)
        #expect(kernel.isOwned(1))
        #expect(refusal { () throws(Refusal) in try kernel.groupStatus(group) } == .ebadf)
        #expect(refusal { () throws(Refusal) in try kernel.openGroup(1) } == .ebusy)
        try kernel.close(device)
        #expect(!kernel.isOwned(1))
        #expect(refusal { () throws(Refusal) in try kernel.close(device) } == .ebadf)
    }

    @Test(
        "last device unbound with the group fd open: does not block; /dev/vfio/N goes; GET_STATUS ENODEV on the old fd")
    func lastDevice() throws {
        var kernel = try takenKernel()
        let group = try kernel.openGroup(1)
        try kernel.done(.unbind(network, from: "vfio-pci"))
        #expect(kernel.uevents.contains { $0.action == "remove" && $0.subsystem == "vfio" && $0.name == "1" })
        kernel.settle()
        #expect(kernel.nodesInDev.isEmpty)
        #expect(refusal { () throws(Refusal) in try kernel.groupStatus(group) } == .enodev)
        try kernel.take(network)
        #expect(
            refusal { () throws(Refusal) in try kernel.groupStatus(group) } == .enodev, "a new group of that number")
        _ = try kernel.openGroup(1)
    }

    @Test("a set container does not stop an unbind: the group vanishes and the host driver takes the device")
    func containerStopsNoUnbind() throws {
        var kernel = try takenKernel()
        let (group, _) = try kernel.openOwned(1)
        try kernel.done(.driverOverride(network, "\n"))
        try kernel.done(.unbind(network, from: "vfio-pci"))
        #expect(refusal { () throws(Refusal) in try kernel.getDevice(group, network) } == .enodev)
        try kernel.done(.driversProbe(network))
        #expect(kernel.driver(network) == "e1000e")
        #expect(!kernel.isOwned(1))
    }

    @Test("two groups in one container: fine")
    func twoGroups() throws {
        var kernel = try takenKernel()
        try kernel.take(disk)
        let (_, container) = try kernel.openOwned(1)
        let second = try kernel.openGroup(2)
        try kernel.setContainer(second, container)
        _ = try kernel.getDevice(second, disk)
        #expect(kernel.isOwned(1) && kernel.isOwned(2))
    }

    @Test("IOVA ranges [0..0xfedfffff] [0xfef00000..0x7fffffffff]; the MSI window or above the aperture: EINVAL")
    func ranges() throws {
        let inventory = Inventory(
            devices: [pciDevice("0000:01:00.0", group: 1, driver: "vfio-pci")],
            kernelGroups: [
                KernelGroup(
                    number: 1, reservedRegions: [ReservedRegion(start: 0xfee0_0000, last: 0xfeef_ffff, kind: .msi)])
            ])
        var kernel = SimulatedKernel(inventory)
        let (_, container) = try kernel.openOwned(1)
        #expect(try kernel.iovaRanges(container) == [0...0xfedf_ffff, 0xfef0_0000...0x7f_ffff_ffff])
        try kernel.map(container, 0x1000...0x1fff)
        #expect(refusal { () throws(Refusal) in try kernel.map(container, 0xfee0_0000...0xfee0_0fff) } == .einval)
        #expect(refusal { () throws(Refusal) in try kernel.map(container, 0x1000...0x80_0000_0000) } == .einval)
        // The same as type 1.
        var other = SimulatedKernel(inventory)
        let cdev = try other.openCdev(network)
        let iommufd = try other.openIOMMUFD()
        try other.bindIOMMUFD(cdev, iommufd)
        try other.attach(cdev)
        #expect(try other.iovaRanges(iommufd) == [0...0xfedf_ffff, 0xfef0_0000...0x7f_ffff_ffff])
    }

    @Test("a direct-relaxable region may be mapped over, a direct one not")
    func relaxable() throws {
        func ranges(_ kind: ReservedRegion.Kind) throws -> [ClosedRange<UInt64>] {
            var kernel = SimulatedKernel(
                Inventory(
                    devices: [pciDevice("0000:01:00.0", group: 1, driver: "vfio-pci")],
                    kernelGroups: [
                        KernelGroup(
                            number: 1, reservedRegions: [ReservedRegion(start: 0x1000, last: 0x1fff, kind: kind)])
                    ]))
            let (_, container) = try kernel.openOwned(1)
            return try kernel.iovaRanges(container)
        }
        #expect(try ranges(.directRelaxable) == [0...0x7f_ffff_ffff])
        #expect(try ranges(.direct) == [0...0xfff, 0x2000...0x7f_ffff_ffff])
    }

    @Test("nodes appear asynchronously and can be stale: st_rdev is not sysfs dev then, and the open fails")
    func nodes() throws {
        var kernel = kernel()
        try kernel.done(.driverOverride(network, "vfio-pci\n"))
        try kernel.done(.unbind(network, from: "e1000e"))
        try kernel.done(.driversProbe(network))
        #expect(refusal { () throws(Refusal) in try kernel.openGroup(1) } == .enoent)
        #expect(refusal { () throws(Refusal) in try kernel.openCdev(0) } == .enoent)
        kernel.settle()
        #expect(kernel.nodesInDev == [.group(1), .cdev(0)])
        #expect(kernel.deviceNumber(of: .group(1)) == kernel.sysfsDeviceNumber(of: .group(1)))
        try kernel.done(.unbind(network, from: "vfio-pci"))
        #expect(refusal { () throws(Refusal) in try kernel.openGroup(1) } == .enxio)
        try kernel.done(.driversProbe(network))
        #expect(kernel.deviceNumber(of: .group(1)) != kernel.sysfsDeviceNumber(of: .group(1)))
        #expect(refusal { () throws(Refusal) in try kernel.openGroup(1) } == .enxio)
        #expect(refusal { () throws(Refusal) in try kernel.openCdev(0) } == .enxio)
    }
}
