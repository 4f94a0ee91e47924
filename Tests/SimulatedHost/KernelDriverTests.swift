// Habits 1 to 10: overrides, probes, modules, takeover uevents, remove and rescan, power, reset.

import EventLoop
import Host
import HostSnapshot
import Inventory
import PCI
import Testing
import TestSupport

@testable import LinuxHost
@testable import SimulatedHost

@Suite("The simulated kernel's drivers", .timeLimit(.minutes(15)))
struct KernelDriverTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("untouched, it shows the inventory that it was made from", .realCaptures, arguments: Capture.all)
    @LoopActor func untouched(capture: Capture) async throws {
        let inventory = try await LinuxHost(root: capture.root).readInventory()
        #expect(SimulatedKernel(inventory).inventory == inventory)
    }

    @Test("untouched, it shows the demo machine; its VF on vfio-pci finds the way to the driver of its twins")
    @LoopActor func demo() async throws {
        let inventory = try await SimulatedHost.demo().readInventory()
        var kernel = SimulatedKernel(inventory)
        #expect(kernel.inventory == inventory)
        #expect(kernel.uevents.isEmpty)
        let virtual = device("0000:83:00.3")
        try kernel.done(.unbind(virtual, from: "vfio-pci"))
        try kernel.done(.driversProbe(virtual))
        #expect(kernel.driver(virtual) == "iavf")
    }

    @Test("a 0-byte write does not clear driver_override, a newline does")
    func clearing() throws {
        var kernel = kernel()
        try kernel.done(.driverOverride(network, "vfio-pci\n"))
        try kernel.done(.driverOverride(network, ""))
        #expect(try kernel.readDriverOverride(of: network) == "vfio-pci")
        #expect(kernel.inventory[network]?.driverOverride == .present("vfio-pci"))
        try kernel.done(.driverOverride(network, "\n"))
        #expect(try kernel.readDriverOverride(of: network) == nil)
        #expect(kernel.inventory[network]?.driverOverride == .absent)
    }

    @Test(
        "an explicit bind of a pinned sibling fails ENODEV; the name that no driver has survives drivers_probe and rescan"
    )
    func pins() throws {
        var kernel = kernel()
        kernel.register(KernelDriver("snd_hda_intel", matches: [.address(sound)]))
        try kernel.done(.driverOverride(sound, "none-such\n"))
        #expect(kernel.write(.bind(sound, to: "snd_hda_intel")) == .failed(.enodev))
        try kernel.done(.driversProbe(sound))
        try kernel.done(.rescan)
        #expect(kernel.driver(sound) == nil)
        try kernel.done(.driverOverride(sound, "\n"))
        try kernel.done(.bind(sound, to: "snd_hda_intel"))
        #expect(kernel.driver(sound) == "snd_hda_intel")
    }

    @Test(
        "a pin vfio-pci would be bound by a probe; an override loads no module, and drivers_probe succeeds without binding"
    )
    func overrideLoadsNothing() throws {
        var kernel = SimulatedKernel(machine(pciDevice("0000:01:00.0", group: 1)))
        try kernel.done(.driverOverride(network, "vfio-pci\n"))
        try kernel.done(.driversProbe(network))
        #expect(kernel.driver(network) == nil)
        #expect(kernel.write(.bind(network, to: "vfio-pci")) == .failed(.enoent))
        #expect(!kernel.isLoaded("vfio-pci"))
        try kernel.loadModule("vfio_pci")
        #expect(kernel.driver(network) == "vfio-pci")
    }

    @Test("unbind from another driver is ENODEV, bind of a bound device EBUSY, an unknown device ENODEV")
    func wrongWrites() {
        var kernel = kernel()
        #expect(kernel.write(.unbind(network, from: "nvme")) == .failed(.enodev))
        #expect(kernel.write(.unbind(network, from: "none-such")) == .failed(.enoent))
        #expect(kernel.write(.bind(network, to: "e1000e")) == .failed(.ebusy))
        #expect(kernel.write(.driversProbe(device("0000:7f:00.0"))) == .failed(.enodev))
        #expect(throws: KernelErrno.enoent) { try kernel.loadModule("none-such") }
    }

    @Test(
        "vfio-pci on a bridge: the probe fails -22, the bridge is left DRIVERLESS, the drivers_probe write still returns 0"
    )
    func bridge() throws {
        var kernel = kernel()
        try kernel.done(.driverOverride(port, "vfio-pci\n"))
        try kernel.done(.unbind(port, from: "pcieport"))
        #expect(kernel.write(.driversProbe(port)) == .done)
        #expect(kernel.driver(port) == nil)
        #expect(kernel.log.contains { $0.contains("error -22") })
        #expect(kernel.write(.bind(port, to: "vfio-pci")) == .failed(.einval))
        try kernel.take(port, by: "pci-stub")
        #expect(kernel.driver(port) == "pci-stub")
    }

    @Test("loading a module can bind a host driver to an inert sibling")
    func module() throws {
        var kernel = kernel()
        kernel.register(KernelDriver("i801_smbus", matches: [.address(sound)], isLoaded: false))
        try kernel.done(.driversProbe(sound))
        #expect(kernel.driver(sound) == nil)
        try kernel.loadModule("i801_smbus")
        #expect(kernel.driver(sound) == "i801_smbus")
        #expect(!kernel.isViable(1))
    }

    @Test("a device that is announced anew has its module loaded, which its override may keep from it")
    func announcedAnew() throws {
        var kernel = kernel()
        kernel.register(KernelDriver("i801_smbus", matches: [.address(sound)], isLoaded: false))
        try kernel.done(.driverOverride(sound, "other\n"))
        kernel.announceAnew(sound)
        #expect(kernel.isLoaded("i801_smbus"))
        #expect(kernel.driver(sound) == nil)
        kernel.unloadModule("i801_smbus")
        try kernel.done(.driverOverride(sound, "\n"))
        kernel.announceAnew(sound)
        #expect(kernel.driver(sound) == "i801_smbus")
        kernel.unloadModule("i801_smbus")
        #expect(kernel.driver(sound) == nil)
        kernel.setInstalled(false, moduleOf: "i801_smbus")
        #expect(throws: KernelErrno.enoent) { try kernel.loadModule("i801_smbus") }
        kernel.announceAnew(sound)
        #expect(kernel.driver(sound) == nil)
    }

    @Test("modules.alias names the vfio variant driver, which takes the device by override only")
    func variant() throws {
        var kernel = kernel()
        #expect(kernel.variantDriver(for: network) == nil)
        kernel.register(
            KernelDriver("mlx5_vfio_pci", matches: [.identifier(vendor: 0x8086, device: 0x10d3)], isLoaded: false))
        #expect(kernel.variantDriver(for: network) == "mlx5_vfio_pci")
        try kernel.loadModule("mlx5_vfio_pci")
        try kernel.done(.unbind(network, from: "e1000e"))
        try kernel.done(.driversProbe(network))
        #expect(kernel.driver(network) == "e1000e")
        try kernel.take(network, by: "mlx5_vfio_pci")
        #expect(kernel.driver(network) == "mlx5_vfio_pci")
        #expect(kernel.vfioNumber(of: network) == 0)
        #expect(kernel.isViable(1))
    }

    @Test("takeover uevents, in order: remove net, unbind, add vfio/N, add vfio-dev/vfioN, bind DRIVER=vfio-pci")
    func takeover() throws {
        var kernel = kernel()
        try kernel.take(network)
        #expect(
            kernel.events(since: 0) == [
                "remove net/0000:01:00.0", "unbind pci/0000:01:00.0", "add vfio/1 DEVNAME=vfio/1",
                "add vfio-dev/vfio0 DEVNAME=vfio/devices/vfio0", "bind pci/0000:01:00.0 DRIVER=vfio-pci",
            ])
        #expect(kernel.inventory.kernelGroup(1)?.type == nil, "binding vfio-pci does not change the group's type")
    }

    @Test("DEVNAME of vfio-dev only with cdev")
    func withoutCdev() throws {
        let kernel = try takenKernel(release: "6.1.176")
        #expect(kernel.events(since: 0).contains("add vfio-dev/vfio0"))
        #expect(kernel.nodesInDev == [.group(1)])
    }

    @Test("remove and rescan: driver_override is lost, the host driver binds, the group is the others'")
    func rescan() throws {
        var kernel = try takenKernel()
        try kernel.done(.remove(network))
        #expect(kernel.inventory[network] == nil)
        try kernel.done(.rescan)
        #expect(kernel.driver(network) == "e1000e")
        #expect(kernel.inventory[network]?.driverOverride == .absent)
        #expect(kernel.group(network) == 1)
    }

    @Test("a removed bridge takes what is behind it along, and all comes back")
    func removedBridge() throws {
        var kernel = kernel()
        let before = kernel.inventory
        try kernel.done(.remove(port))
        #expect(kernel.inventory.devices.map(\.address) == [disk])
        #expect(kernel.inventory.kernelGroup(1) == nil)
        try kernel.done(.rescan)
        #expect(Set(kernel.inventory.devices.map(\.address)) == Set(before.devices.map(\.address)))
        #expect(Set([port, network, sound].map { kernel.group($0) }) == [0], "the lowest free number")
    }

    @Test(
        "vfio-pci sets power/control to auto, on the host driver it is on again; d3cold_allowed=0 survives the return")
    func power() throws {
        var kernel = kernel()
        try kernel.done(.d3coldAllowed(network, false))
        try kernel.take(network)
        #expect(kernel.powerControl(of: network) == .auto)
        try kernel.done(.powerControl(network, .on))
        #expect(kernel.powerControl(of: network) == .on)
        try kernel.take(network, by: "e1000e")
        #expect(kernel.powerControl(of: network) == .on)
        #expect(kernel.allowsD3cold(network) == false)
    }

    @Test("sysfs reset is not refused while vfio is bound; it can fail, and without a method it is not there")
    func reset() throws {
        var kernel = try takenKernel()
        let cdev = try kernel.openCdev(network)
        try kernel.bindIOMMUFD(cdev, try kernel.openIOMMUFD())
        try kernel.done(.reset(network))
        try kernel.resetDevice(cdev)
        kernel.setReset(.fails(.etimedout), of: network)
        #expect(kernel.write(.reset(network)) == .failed(.etimedout))
        #expect(refusal { () throws(SimulatedKernel.Refusal) in try kernel.resetDevice(cdev) } == .etimedout)
        kernel.setReset(.absent, of: network)
        #expect(kernel.write(.reset(network)) == .failed(.enoent))
        #expect(refusal { () throws(SimulatedKernel.Refusal) in try kernel.resetDevice(cdev) } == .einval)
        #expect(kernel.write(.reset(port)) == .failed(.enoent))
    }
}
