// What a takeover finds in a device of a real host, and who has it open.

import CLinux
import EventLoop
import Files
import Foundation
import Host
import Inventory
import PCI
import Testing
import TestSupport

@testable import LinuxHost

@Suite("Bindings and holders", .timeLimit(.minutes(15)))
struct BindingTests {
    let sysfs = SyntheticSysfs()
    let device: DeviceAddress

    init() throws {
        try EventLoop.main.runInBackground()
        device = .pci(try #require(PCIAddress("0000:00:01.0")))
    }

    @LoopActor private func host() -> LinuxHost { LinuxHost(root: sysfs.root, writable: true, patience: .seconds(30)) }

    private func write(_ attribute: String, _ text: String) {
        sysfs.folder.write(sysfs.path(of: "0000:00:01.0") + "/" + attribute, text)
    }

    /// What was read, but for what the device is.
    @LoopActor private func withoutIdentity() async throws -> DeviceBinding? {
        var binding = try await host().readBinding(of: device)
        #expect(binding?.identification?.vendorID != nil)
        binding?.identification = nil
        return binding
    }

    @Test("all that a takeover changes is read")
    @LoopActor func binding() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00", driver: "e1000e")
        #expect(try await withoutIdentity() == DeviceBinding(driver: "e1000e"))
        // A driver may be in a module of another name.
        sysfs.folder.link("sys/bus/pci/drivers/e1000e/module", to: "../../../../module/e1000e_module")
        #expect(host().hasDriver("e1000e", onBusOf: device) == true)
        #expect(host().hasDriver("nouveau", onBusOf: device) == false)
        write("power/control", "auto\n")
        write("d3cold_allowed", "0\n")
        write("driver_override", "vfio-pci\n")
        write("reset", "")
        write("subsystem_device", "0x0001\n")
        write("enable", "2\n")
        #expect(
            try await withoutIdentity()
                == DeviceBinding(
                    driver: "e1000e", driverOverride: "vfio-pci", powerControl: .auto, d3coldAllowed: false,
                    canReset: true, enableCount: 2, module: "e1000e_module"))
        #expect(host().enableCount(of: device) == 2)
        #expect(
            try await host().readBinding(of: device)?.identification
                == .init(
                    vendorID: 0x8086, deviceID: 0x10d3, subsystemDeviceID: 1,
                    classCode: ClassCode(rawValue: 0x020000)))
    }

    @Test("how many virtual functions it has is read, where it can have any")
    @LoopActor func virtualFunctions() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00", driver: "ice")
        #expect(try await host().readBinding(of: device)?.virtualFunctionCount == nil)
        write("sriov_numvfs", "4\n")
        #expect(try await host().readBinding(of: device)?.virtualFunctionCount == 4)
        write("sriov_numvfs", "\n")
        #expect(try await host().readBinding(of: device)?.virtualFunctionCount == nil)
    }

    @Test("a device of a bus without overrides has none, and one that is not there nothing")
    @LoopActor func otherBinding() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00", driverOverride: nil)
        sysfs.add(bus: "mdev", name: "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", driver: "vfio_mdev", kernelGroup: 6)
        #expect(try await withoutIdentity() == DeviceBinding(canOverride: false))
        let mediated = try #require(DeviceAddress(bus: "mdev", name: "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"))
        #expect(
            try await host().readBinding(of: mediated) == DeviceBinding(driver: "vfio_mdev", canOverride: false))
        #expect(try await host().readBinding(of: .pci(try #require(PCIAddress("0000:00:02.0")))) == nil)
    }

    @Test("the driver of a device is seen whatever holds its lock, and so is that it has none or is gone")
    @LoopActor func driverLink() throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00")
        let path = sysfs.path(of: "0000:00:01.0")
        unlink(sysfs.root + "/" + path + "/driver_override")
        #expect(mkfifo(sysfs.root + "/" + path + "/driver_override", 0o600) == 0)
        #expect(host().driverLink(of: device) == .driverless)
        sysfs.folder.link(path + "/driver", to: "../../../bus/pci/drivers/nvme")
        #expect(host().driverLink(of: device) == .driver("nvme"))
        #expect(host().driverLink(of: .pci(try #require(PCIAddress("0000:00:02.0")))) == .noDevice)
    }

    @Test("a device whose lock the kernel holds is busy")
    @LoopActor func busy() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00")
        let file = sysfs.root + "/" + sysfs.path(of: "0000:00:01.0") + "/driver_override"
        unlink(file)
        #expect(mkfifo(file, 0o600) == 0)
        let host = LinuxHost(root: sysfs.root, writable: true, patience: .milliseconds(20))
        await #expect(throws: HostError.deviceBusy(device)) { try await host.readBinding(of: device) }
    }

    @Test("however often a device is looked at whose lock the kernel holds, one child waits for it")
    @LoopActor func stuck() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00")
        let file = sysfs.root + "/" + sysfs.path(of: "0000:00:01.0") + "/driver_override"
        unlink(file)
        #expect(mkfifo(file, 0o600) == 0)
        let host = LinuxHost(root: sysfs.root, writable: true, patience: .seconds(1))
        // The kernel does not let a process be killed that waits for the lock.
        host.lockedAttributes.kill = { _ in }
        let looks = (0..<50).map { _ in
            EventLoop.main.spawn { [device] in
                _ = await #expect(throws: HostError.deviceBusy(device)) { try await host.readBinding(of: device) }
            }
        }
        for look in looks { await look.value }
        let child = try #require(host.lockedAttributes.stuck.values.first)
        for _ in 0..<50 {
            let found = try await host.readInventory()
            #expect(found[device]?.driverOverride == .unknown(.deviceBusy))
            #expect(Array(host.lockedAttributes.stuck.values) == [child])
        }
        // It lets go.
        let end = open(file, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
        #expect(end >= 0)
        close(end)
        unlink(file)
        sysfs.folder.write(sysfs.path(of: "0000:00:01.0") + "/driver_override", "vfio-pci\n")
        let deadline = MonotonicTime.now + .seconds(60)
        var found: DeviceBinding?
        while found == nil, .now < deadline { found = try? await host.readBinding(of: device) }
        #expect(found?.driverOverride == "vfio-pci")
        #expect(await waits { kill(child, 0) != 0 || clinux_reap_worker(child) != 0 })
    }

    @Test("who has a device open is not known where the processes cannot be listed")
    @LoopActor func noProcesses() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00", kernelGroup: 7)
        await #expect(throws: HostError.self) { try await host().holders(of: [device]) }
    }

    @Test("a process is said to have ended only where that is certain")
    @LoopActor func processes() throws {
        let host = host()
        let own = try #require(ProcessIdentity(of: getpid()))
        #expect(try !host.hasEnded(own))
        #expect(try host.hasEnded(ProcessIdentity(pid: own.pid, startTime: own.startTime + 1)))
        #expect(try host.open(ProcessIdentity(pid: own.pid, startTime: own.startTime + 1)) == nil)
        sysfs.folder.write("proc/4200001/stat", "what is this")
        #expect(throws: SystemError(errno: EBADMSG)) {
            try ProcessIdentity.now(of: 4_200_001, below: sysfs.root + "/proc")
        }
        #expect(try ProcessIdentity.now(of: 4_200_002, below: sysfs.root + "/proc") == nil)
    }

    @Test("nothing is gone while the daemon has no descriptor free to look at it")
    func shortage() async {
        // In a process of its own: whoever else runs in this one needs descriptors.
        await #expect(processExitsWith: .success) {
            try EventLoop.main.runInBackground()
            try await Self.lookWithoutDescriptors()
        }
    }

    @LoopActor private static func lookWithoutDescriptors() throws {
        let sysfs = SyntheticSysfs()
        sysfs.add("0000:00:01.0", below: "pci0000:00")
        sysfs.folder.write(sysfs.path(of: "0000:00:01.0") + "/vfio-dev/vfio0/dev", "1:5\n")
        let device = DeviceAddress.pci(try #require(PCIAddress("0000:00:01.0")))
        let host = LinuxHost(root: sysfs.root, writable: true)
        let own = try #require(ProcessIdentity(of: getpid()))
        var limit = rlimit()
        #expect(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
        var none = limit
        none.rlim_cur = 0
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &none)
        let ended = Result { try host.hasEnded(own) }
        let file = Result { try host.open(own) == nil }
        let worker = Result { try host.findWorker(own) == nil }
        let node = Result { try host.nodeStatus(of: .cdev(device)) == nil }
        let link = host.driverLink(of: device)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        for result in [ended, file, worker, node] { #expect(throws: HostError.self) { try result.get() } }
        #expect(link == nil)
    }

    @Test("who has the node of a device or of its group open is found by the node's number")
    @LoopActor func holders() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00", kernelGroup: 7)
        sysfs.add("0000:00:02.0", below: "pci0000:00", kernelGroup: 7)
        sysfs.add("0000:00:03.0", below: "pci0000:00", kernelGroup: 8)
        write("vfio-dev/vfio0/dev", "1:5\n")
        sysfs.folder.write("sys/class/vfio/7/dev", "1:3\n")
        let processes = [4_200_001: "/dev/zero", 4_200_002: "/dev/null", 4_200_003: "/dev/full", 4_200_004: "/tmp"]
        for (pid, target) in processes {
            sysfs.folder.write("proc/\(pid)/stat", stat(pid))
            sysfs.folder.link("proc/\(pid)/fd/5", to: target)
        }
        // Since 6.18 the descriptor of a device says which one it is of.
        sysfs.folder.write("proc/4200005/stat", stat(4_200_005))
        sysfs.folder.link("proc/4200005/fd/9", to: "anon_inode:[vfio-device]")
        sysfs.folder.write(
            "proc/4200005/fdinfo/9", "pos:\t0\nvfio-device-syspath: /sys/devices/pci0000:00/0000:00:03.0\n")
        let devices = try ["0000:00:01.0", "0000:00:02.0", "0000:00:03.0"].map {
            DeviceAddress.pci(try #require(PCIAddress($0)))
        }
        func holder(_ device: Int, _ pid: Int32) -> DeviceHolder {
            DeviceHolder(devices[device], process: ProcessIdentity(pid: pid, startTime: UInt64(pid) + 1))
        }
        #expect(
            try await host().holders(of: devices) == [
                holder(0, 4_200_001), holder(0, 4_200_002), holder(1, 4_200_002), holder(2, 4_200_005),
            ])
    }

    @Test("who keeps an unbind waiting is found, though sysfs shows the node no longer")
    @LoopActor func holdersOfLeaving() async throws {
        sysfs.add("0000:00:01.0", below: "pci0000:00")
        sysfs.add("0000:00:02.0", below: "pci0000:00")
        write("vfio-dev/vfio0/dev", "1:5\n")
        sysfs.folder.write("proc/4200001/stat", stat(4_200_001))
        sysfs.folder.link("proc/4200001/fd/5", to: "/dev/zero")
        let host = host()
        _ = try host.prepare(.unbind(.given(device), from: "vfio-pci"))
        sysfs.folder.remove(sysfs.path(of: "0000:00:01.0") + "/vfio-dev")
        #expect(try await host.holders(of: [device]).map(\.process?.pid) == [4_200_001])
        // The number is another device's now, which is what the process has open.
        let path = sysfs.path(of: "0000:00:02.0") + "/vfio-dev/vfio0"
        sysfs.folder.write(path + "/dev", "1:5\n")
        sysfs.folder.link("sys/class/vfio-dev/vfio0", to: "../../" + path.dropFirst(4))
        let other = DeviceAddress.pci(try #require(PCIAddress("0000:00:02.0")))
        #expect(try await host.holders(of: [device]) == [])
        #expect(try await host.holders(of: [device, other]).map(\.device) == [other])
        #expect(try await LinuxHost(root: sysfs.root, writable: true).holders(of: [device]) == [])
    }

    private func stat(_ pid: Int) -> String {
        "\(pid) (qemu) x) S 1" + String(repeating: " 0", count: 17) + " \(pid + 1) 0 0\n"
    }

    @Test("device numbers are taken apart as the kernel puts them together")
    func numbers() {
        var status = Glibc.stat()
        status.st_mode = S_IFCHR
        // makedev(511, 1048575)
        status.st_rdev = 0xfff0_0000 | 511 << 8 | 0xff
        #expect(NodeNumber(status) == NodeNumber("511:1048575"))
        status.st_mode = S_IFREG
        #expect(NodeNumber(status) == nil)
        for text in ["", "1", "1:", ":1", "1:2:3", "a:b", "-1:2"] { #expect(NodeNumber(text) == nil) }
    }
}
