// Trees that real captures do not have: what is unreadable, contradictory, busy, or in motion.

import EventLoop
import Foundation
import Host
import Inventory
import PCI
import Testing
import TestSupport

@testable import LinuxHost
@testable import SimulatedHost

@Suite("Reading a host", .timeLimit(.minutes(15)))
struct LinuxHostTests {
    let sysfs = SyntheticSysfs()

    init() throws { try EventLoop.main.runInBackground() }

    @LoopActor private func read() async throws -> Inventory {
        try await LinuxHost(root: sysfs.root).readInventory()
    }

    private func address(_ text: String) throws -> PCIAddress { try #require(PCIAddress(text)) }

    @Test("finds host bridges wherever they lie, and those below a device")
    @LoopActor func hostBridges() async throws {
        sysfs.add("0000:00:00.0", below: "devices/platform/soc/40000000.pcie/pci0000:00")
        sysfs.add("0001:00:0e.0", below: "pci0001:00")
        sysfs.add("10000:e0:06.0", below: sysfs.path(of: "0001:00:0e.0").dropFirst(4) + "/pci10000:e0")
        let inventory = try await read()
        #expect(
            inventory.hostBridges == [
                HostBridge(id: try #require(HostBridgeID("pci0000:00"))),
                HostBridge(id: try #require(HostBridgeID("pci0001:00"))),
                HostBridge(id: try #require(HostBridgeID("pci10000:e0")), parent: try address("0001:00:0e.0")),
            ])
        #expect(inventory[try address("10000:e0:06.0")]?.pci?.hostBridge == HostBridgeID("pci10000:e0"))
    }

    @Test("reads driver, override and group; \"(null)\" is no override")
    @LoopActor func attributes() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00", driver: "e1000e", kernelGroup: 7)
        sysfs.add("0000:00:02.0", below: "pci0000:00", driverOverride: "vfio-pci")
        sysfs.add("0000:00:03.0", below: "pci0000:00", driverOverride: nil)
        let inventory = try await read()
        let first = try #require(inventory[try address("0000:00:01.0")])
        #expect(first.driver == "e1000e")
        #expect(first.kernelGroup == 7)
        #expect(first.driverOverride == .absent)
        #expect(first.numaNode == nil)
        #expect(inventory[try address("0000:00:02.0")]?.driverOverride == .present("vfio-pci"))
        #expect(inventory[try address("0000:00:03.0")]?.driverOverride == .absent)
    }

    @Test("of the kernel's command line, what decides about isolation is kept, and nothing else")
    @LoopActor func commandLine() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00")
        #expect(try await read().commandLine == nil)
        sysfs.folder.write(
            "proc/cmdline",
            "BOOT_IMAGE=/vmlinuz root=UUID=0a1b intel-iommu=on quiet \"dyndbg=file pci.c +p pci=x\" "
                + "pcie_acs_override=downstream,multifunction pci=noaer,disable_acs_redir=0:1.0 -- pci=forInit\n")
        let inventory = try await read()
        let line = try #require(inventory.commandLine)
        #expect(
            line.parameters == [
                "intel-iommu=on", "pcie_acs_override=downstream,multifunction", "pci=noaer,disable_acs_redir=0:1.0",
            ])
        #expect(line.accessControlOverride == "pcie_acs_override=downstream,multifunction")
        #expect(line.changesAccessControl)
        #expect(line.values(of: "intel_iommu") == ["on"])
        #expect(try Inventory.replaying(inventory) == inventory)
        #expect(SimulatedKernel(inventory).inventory.commandLine == line)
        let plain = KernelCommandLine(reading: "quiet iommu=pt")
        #expect(plain.accessControlOverride == nil && !plain.changesAccessControl)
    }

    @Test("an attribute that waits for the device lock is unknown, and the rest is read")
    @LoopActor func deviceLock() async throws {
        for device in 0..<4 {
            sysfs.add("0000:00:0\(device).0", below: "pci0000:00", driverOverride: "vfio-pci")
        }
        // A FIFO that nobody writes to is to its reader what the lock is: an open that does not return.
        for device in [1, 2] {
            let file = sysfs.root + "/" + sysfs.path(of: "0000:00:0\(device).0") + "/driver_override"
            unlink(file)
            #expect(mkfifo(file, 0o600) == 0)
        }
        let inventory = try await read()
        #expect(inventory[try address("0000:00:00.0")]?.driverOverride == .present("vfio-pci"))
        #expect(inventory[try address("0000:00:01.0")]?.driverOverride == .unknown(.deviceBusy))
        #expect(inventory[try address("0000:00:02.0")]?.driverOverride == .unknown(.deviceBusy))
        #expect(inventory[try address("0000:00:03.0")]?.driverOverride == .present("vfio-pci"))
        #expect(inventory.warnings.map { $0.device?.name } == ["0000:00:01.0", "0000:00:02.0"])
    }

    @Test("the loop goes on while an attribute waits")
    @LoopActor func loopGoesOn() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00")
        let file = sysfs.root + "/" + sysfs.path(of: "0000:00:01.0") + "/driver_override"
        unlink(file)
        #expect(mkfifo(file, 0o600) == 0)
        // Longer than the loop can be busy with other tests: the read is not to end before the lock is released.
        let host = LinuxHost(root: sysfs.root, patience: .seconds(3600))
        var isRead = false
        let reading = EventLoop.main.spawn {
            let inventory = try? await host.readInventory()
            isRead = true
            return inventory
        }
        for _ in 0..<3 { try await EventLoop.main.sleep(for: .milliseconds(1)) }
        #expect(!isRead)
        // The lock is released: what the worker waits for comes. The FIFO has a reader once the worker is there.
        var writer: Int32 = -1
        while writer < 0 {
            writer = open(file, O_WRONLY | O_NONBLOCK)
            try await EventLoop.main.sleep(for: .milliseconds(1))
        }
        _ = write(writer, "vfio-pci\n", 9)
        close(writer)
        let inventory = try #require(await reading.value)
        #expect(inventory[try address("0000:00:01.0")]?.driverOverride == .present("vfio-pci"))
    }

    @Test("a config space that loops is warned about by device and offset, and the device stays")
    @LoopActor func brokenConfig() async throws {
        var config = ConfigBuilder()
        config.capabilityList(at: 0x40)
        config.bytes[0x40] = 0x01
        config.bytes[0x41] = 0x40
        sysfs.add("0000:00:01.0", below: "pci0000:00", config: config.bytes)
        let inventory = try await read()
        #expect(
            inventory.warnings == [
                InventoryWarning(
                    device: .pci(try address("0000:00:01.0")), offset: 0x40, message: "capability list loops")
            ])
        #expect(inventory[try address("0000:00:01.0")]?.pci?.capabilities.express == .unknown(.malformed))
    }

    @Test("attributes that hold nonsense are warned about and unknown")
    @LoopActor func nonsense() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00", config: nil)
        sysfs.folder.write(sysfs.path(of: "0000:00:01.0") + "/vendor", "0x12345\n")
        sysfs.folder.write(sysfs.path(of: "0000:00:01.0") + "/class", "")
        let device = try #require(try await read()[try address("0000:00:01.0")]?.pci)
        #expect(device.identification.vendorID == nil)
        #expect(device.identification.classCode == nil)
        #expect(device.identification.deviceID == 0x10d3)
    }

    @Test("a tree deeper than any hierarchy ends with a warning")
    @LoopActor func tooDeep() async throws {
        var parent = "pci0000:00"
        for bus in 0..<320 {
            let address = "\(hexadecimal(UInt32(bus / 256), width: 4)):\(hexadecimal(UInt32(bus % 256), width: 2)):00.0"
            sysfs.add(address, below: parent, driverOverride: nil)
            parent = address
        }
        let inventory = try await read()
        #expect(inventory.devices.count < 320)
        #expect(inventory.warnings.contains { $0.message.contains("deeper than any bus") })
    }

    @Test("functions that only bus/pci/devices has sit below the lowest bus of their domain")
    @LoopActor func flatCapture() async throws {
        for address in ["0000:00:01.0", "0000:03:00.0", "0001:02:00.0"] {
            sysfs.folder.write("sys/bus/pci/devices/\(address)/vendor", "0x8086\n")
        }
        let inventory = try await read()
        #expect(inventory.devices.map { $0.pci?.hostBridge.description } == ["pci0000:00", "pci0000:00", "pci0001:02"])
        #expect(inventory.hostBridges.count == 2)
    }

    @Test("a function that only a kernel group names is a device with everything unknown")
    @LoopActor func onlyListed() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00", kernelGroup: 3)
        sysfs.folder.link(
            "sys/kernel/iommu_groups/3/devices/0000:00:02.0", to: "../../../../devices/pci0000:00/0000:00:02.0")
        let inventory = try await read()
        let device = try #require(inventory[try address("0000:00:02.0")])
        #expect(device.kernelGroup == 3)
        #expect(device.pci?.hostBridge == HostBridgeID("pci0000:00"))
        #expect(inventory.warnings.count == 1)
    }

    @Test("a group's list counts where a device has no link, and a contradiction is told")
    @LoopActor func contradiction() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00", kernelGroup: 1)
        sysfs.add("0000:00:02.0", below: "pci0000:00")
        for device in ["0000:00:01.0", "0000:00:02.0"] {
            sysfs.folder.link(
                "sys/kernel/iommu_groups/2/devices/\(device)", to: "../../../../devices/pci0000:00/\(device)")
        }
        sysfs.folder.remove("sys/kernel/iommu_groups/1/devices/0000:00:01.0")
        let inventory = try await read()
        #expect(inventory[try address("0000:00:02.0")]?.kernelGroup == 2)
        #expect(inventory[try address("0000:00:01.0")]?.kernelGroup == 1)
        #expect(inventory.warnings.map { $0.device?.name } == ["0000:00:01.0"])
    }

    @Test("devices of other buses are found by their groups and by their links")
    @LoopActor func otherBuses() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00", kernelGroup: 0)
        sysfs.add(bus: "platform", name: "fe000000.dma", driver: "pl330", kernelGroup: 5)
        sysfs.add(bus: "mdev", name: "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", driver: "vfio_mdev", kernelGroup: 6)
        sysfs.add(bus: "ap", name: "03.0005", kernelGroup: 7)
        sysfs.folder.remove("sys/kernel/iommu_groups/7")
        let inventory = try await read()
        let others = inventory.devices.filter { $0.pci == nil }
        #expect(
            others.map(\.address.description).sorted() == [
                "ap/03.0005", "mdev/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", "platform/fe000000.dma",
            ])
        #expect(others.first { $0.address.bus == "platform" }?.driver == "pl330")
        #expect(others.first { $0.address.bus == "ap" }?.kernelGroup == 7)
    }

    @Test("reserved regions are read, and a line that makes no sense is told")
    @LoopActor func reservedRegions() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00", kernelGroup: 0)
        sysfs.kernelGroup(
            0, "reserved_regions",
            "0x000000000009f000 0x00000000000bffff direct-relaxable\nnonsense\n0x00000000fee00000 0x00000000feefffff msi"
        )
        let inventory = try await read()
        #expect(inventory.kernelGroup(0)?.reservedRegions.map(\.kind) == [.directRelaxable, .msi])
        #expect(inventory.warnings.count == 1)
    }

    @Test("what vanishes during the scan is gone, and the rest is read")
    @LoopActor func vanishing() async throws {
        for bus in 0..<8 {
            let bridge = "0000:00:0\(bus).0"
            sysfs.add(bridge, below: "pci0000:00", classCode: 0x060400)
            for device in 0..<8 { sysfs.add("0000:0\(bus + 1):0\(device).0", below: bridge, driver: "e1000e") }
        }
        let stable = "0000:00:07.0"
        let root = sysfs.root
        let paths = (0..<7).map { root + "/" + sysfs.path(of: "0000:00:0\($0).0") }
        let stop = Flag()
        let churn = Thread {
            // Devices come and go as a folder that is renamed away and back, which is atomic as removal in sysfs is not.
            while !stop.isSet {
                for path in paths { rename(path, path + "-gone") }
                for path in paths { rename(path + "-gone", path) }
            }
            stop.isDone = true
        }
        churn.start()
        defer {
            stop.isSet = true
            while !stop.isDone { sched_yield() }
        }
        for _ in 0..<20 {
            let inventory = try await read()
            #expect(inventory.devices.count { $0.pci?.parent?.description == stable } == 8)
            for device in inventory.devices where device.pci?.parent != nil {
                // Whole subtrees or nothing: a bridge that is gone takes what was read below it along.
                #expect(device.pci?.parent.flatMap { inventory[$0] } != nil)
            }
        }
    }

    @Test("the kernel's release is read, from either file")
    @LoopActor func kernelRelease() async throws {
        #expect(try await read().kernel == nil)
        sysfs.folder.write("proc/version", "Linux version 5.10.0-33-amd64 (debian-kernel@lists.debian.org) #1 SMP\n")
        #expect(try await read().kernel?.countsOwnership == false)
        // A distribution has brought it to an older kernel.
        sysfs.folder.write(
            "proc/kallsyms",
            "0000000000000000 T _text\n0000000000000000 T iommu_device_use_default_domain\t[iommu]\n")
        #expect(try await read().kernel?.countsOwnership == true)
        sysfs.folder.write("proc/sys/kernel/osrelease", "6.12.95+deb12-amd64\n")
        #expect(try await read().kernel?.text == "6.12.95+deb12-amd64")
        #expect(try await read().kernel?.countsOwnership == true)
    }

    @Test("a place without sysfs is refused with what to do")
    @LoopActor func noSysfs() async throws {
        let folder = TemporaryFolder()
        await #expect(throws: HostError.noSysfs(path: folder.path, hint: nil)) {
            try await LinuxHost(root: folder.path).readInventory()
        }
        folder.makeFolder("boot/sys/devices")
        await #expect(throws: HostError.noSysfs(path: folder.path, hint: folder.path + "/boot")) {
            try await LinuxHost(root: folder.path).readInventory()
        }
        await #expect(throws: HostError.unreadableRoot(path: "/nonexistent", errno: ENOENT)) {
            try await LinuxHost(root: "/nonexistent").readInventory()
        }
    }

    @Test("a host without PCI has an empty inventory")
    @LoopActor func noPCI() async throws {
        let folder = TemporaryFolder()
        folder.makeFolder("sys/devices")
        let inventory = try await LinuxHost(root: folder.path).readInventory()
        #expect(inventory.devices.isEmpty)
        #expect(inventory.hostBridges.isEmpty)
    }

    @Test("a second reading sees new drivers, and reads no configuration space twice")
    @LoopActor func secondReading() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00", config: ConfigBuilder().bytes, driver: "e1000e")
        let host = LinuxHost(root: sysfs.root)
        let first = try await host.readInventory()
        let folder = sysfs.path(of: "0000:00:01.0")
        sysfs.folder.remove(folder + "/driver")
        sysfs.folder.remove(folder + "/config")
        let second = try await host.readInventory()
        #expect(second[try address("0000:00:01.0")]?.driver == nil)
        #expect(
            second[try address("0000:00:01.0")]?.pci?.capabilities
                == first[try address("0000:00:01.0")]?.pci?.capabilities)
    }
}

/// A flag that two threads share.
private final class Flag: @unchecked Sendable {  // Guarded by the lock.
    private let lock = NSLock()
    private var set = false
    private var done = false
    var isSet: Bool {
        get { lock.withLock { set } }
        set { lock.withLock { set = newValue } }
    }
    var isDone: Bool {
        get { lock.withLock { done } }
        set { lock.withLock { done = newValue } }
    }
}
