// Graphics: the framebuffer of the firmware, clients of DRM, NVIDIA's own nodes. Each with a twin that is free.

import EventLoop
import Files
import Glibc
import Host
import Inventory
import PCI
import Testing
import TestSupport

@testable import LinuxHost

@Suite("What a host uses: graphics", .timeLimit(.minutes(15)))
struct DisplayUseTests {
    // As `cat /proc/iomem` shows it to root on a machine with a card that is no VGA device.
    private static let iomem = """
        00000000-00000fff : Reserved
        e0000000-efffffff : PCI Bus 0000:01
          e0000000-efffffff : 0000:01:00.0
            e0000000-e03fffff : BOOTFB
              e0000000-e03fffff : simpledrm
        f0000000-f0ffffff : 0000:02:00.0
        """

    private static func resource(_ bar: String) -> String {
        """
        0x00000000fb000000 0x00000000fbffffff 0x0000000000040200
        \(bar)
        0x0000000000000000 0x0000000000000000 0x0000000000000000
        0x000000000000e000 0x000000000000e07f 0x0000000000040101
        0x0000000000000000 0x0000000000000000 0x0000000000000000
        0x0000000000000000 0x0000000000000000 0x0000000000000000
        0x00000000e0000000 0x00000000e007ffff 0x0000000000046200
        """
    }

    @Test("the card that the firmware's framebuffer lies in, where boot_vga says nothing")
    @LoopActor func framebuffer() async throws {
        let machine = try UseMachine(classCode: 0x030200)
        machine.write(
            machine.path(machine.device) + "/resource",
            Self.resource("0x00000000e0000000 0x00000000efffffff 0x000000000014220c"))
        // Of what follows the six BARs nothing counts.
        machine.write(
            machine.path(machine.twin) + "/resource",
            Self.resource("0x00000000f0000000 0x00000000f0ffffff 0x000000000014220c"))
        #expect(await machine.uses() == [])
        machine.write("proc/iomem", Self.iomem)
        #expect(await machine.uses() == [DeviceUse(machine.device, .bootDisplay)])
        // A graphics driver has taken the card, and the console with it.
        machine.write("proc/iomem", "e0000000-efffffff : PCI Bus 0000:01\n  e0000000-efffffff : 0000:01:00.0")
        #expect(await machine.uses() == [])
    }

    @Test("since Linux 6.9 the framebuffer's device lies below the card")
    @LoopActor func framebufferBelow() async throws {
        let machine = try UseMachine(classCode: 0x038000)
        let below = machine.components(machine.device).joined(separator: "/") + "/simple-framebuffer.0"
        machine.list("simple-framebuffer.0", in: "bus/platform/devices", at: below)
        #expect(await machine.uses() == [DeviceUse(machine.device, .bootDisplay)])
    }

    @Test("where the framebuffer is may not be read: no display is known to be free")
    @LoopActor func hidden() async throws {
        let machine = try UseMachine(classCode: 0x030200)
        machine.write("proc/iomem", "00000000-00000000 : 0000:01:00.0\n  00000000-00000000 : efifb")
        for use in await machine.uses() {
            #expect(use.kind.rule.severity == .unknown && use.reason.contains("framebuffer"))
        }
        #expect(await machine.uses().count == 2)
        machine.sysfs.folder.remove("proc/iomem")
        machine.sysfs.folder.makeFolder("proc/iomem")
        #expect(await machine.uses().count == 2)
        let network = try UseMachine()
        network.sysfs.folder.makeFolder("proc/iomem")
        #expect(await network.uses() == [])
    }

    @Test("who draws is told with the node; who only listens for sound and keys refuses nothing")
    @LoopActor func clients() async throws {
        let machine = try UseMachine(classCode: 0x030000)
        let path = machine.path(machine.device)
        machine.write(path + "/drm/card1/dev", "1:5")
        machine.write(path + "/drm/renderD129/dev", "1:3")
        machine.write(path + "/sound/card1/controlC1/dev", "1:7")
        machine.write(path + "/usb1/input/input3/event3/dev", "1:8")
        machine.write(path + "/video4linux/video0/dev", "1:9")
        machine.process(4_200_021, "Xorg", opens: "/dev/zero", "/dev/null")
        machine.process(4_200_022, "blender", opens: "/dev/null")
        machine.process(4_200_023, "pipewire", opens: "/dev/full")
        machine.process(4_200_024, "systemd-logind", opens: "/dev/random")
        machine.process(4_200_025, "ffmpeg", opens: "/dev/urandom")
        let found = await machine.uses()
        #expect(
            found.map(\.kind) == [
                .graphicsClient(pid: 4_200_021, command: "Xorg", nodes: "card1 and renderD129"),
                .graphicsClient(pid: 4_200_022, command: "blender", nodes: "renderD129"),
                .attended(pid: 4_200_023, command: "pipewire", what: "a sound card"),
                .attended(pid: 4_200_024, command: "systemd-logind", what: "an input device"),
                .open(pid: 4_200_025, command: "ffmpeg"),
            ])
        #expect(found.map(\.stopsClaim) == [true, true, false, false, true])
        #expect(found[0].reason == "process 4200021 (Xorg) has card1 and renderD129 of it open")
    }

    // NVIDIA's 550.54.14
    private static let information = """
        Model: \t\t NVIDIA GeForce RTX 4090
        IRQ:   \t\t 123
        GPU UUID: \t GPU-????????-????-????-????-????????????
        Bus Type: \t PCIe
        Bus Location: \t 0000:01:00.0
        Device Minor: \t 1
        GPU Excluded:\t No
        """

    @Test("a card of NVIDIA's by its minor: who has it open, who has no more than nvidiactl, who has another card")
    @LoopActor func nvidia() async throws {
        let machine = try UseMachine(classCode: 0x030000, driver: "nvidia")
        machine.write("proc/driver/nvidia/gpus/0000:01:00.0/information", Self.information)
        machine.write("proc/driver/nvidia/gpus/0000:02:00.0/information", "Device Minor: \t 0")
        #expect(await machine.uses() == [])
        let host = LinuxHost(root: machine.sysfs.root, writable: true)
        let subjects = [machine.subject(machine.device), machine.subject(machine.twin)]
        let question = UseQuestion(host: host, subjects: subjects, mounts: await MountFacts(below: host.root))
        let uses = await NVIDIAUses.read(question)
        #expect(uses.cards.values.map { $0 }.count == 2)
        func node(_ minor: UInt32) -> NodeNumber { NodeNumber(isBlock: false, major: 195, minor: minor) }
        #expect(uses.nodes(of: subjects[0]).isSuperset(of: [node(1), node(255)]))
        let subject = machine.subject(
            machine.device, (11, "python3", [node(1), node(255)]), (12, "nvidia-settings", [node(255)]),
            (13, "ollama", [node(0), node(255)]), (14, "Xwayland", [node(1)]))
        #expect(
            uses.kinds(of: subject) == [
                .graphicsClient(pid: 11, command: "python3", nodes: "nvidia1"),
                .nvidiaControl(pid: 12, command: "nvidia-settings"),
                .graphicsClient(pid: 14, command: "Xwayland", nodes: "nvidia1"),
            ])
        #expect(uses.nodes(of: UseSubject(device: machine.device, path: ["other"])) == [])
    }

    @Test("a card's minor is read once a bind, by a child that is not waited for for ever")
    @LoopActor func minors() async throws {
        let machine = try UseMachine(classCode: 0x030000, driver: "nvidia")
        let address = try #require(machine.device.pci)
        let path = machine.components(machine.device)
        let information = "proc/driver/nvidia/gpus/0000:01:00.0/information"
        let minors = NVIDIAMinors(deadline: .milliseconds(200))
        func minor() async -> NVIDIAMinors.Minor {
            await minors.minor(of: address, at: path, below: machine.sysfs.root + "/")
        }
        func isUnknown(_ minor: NVIDIAMinors.Minor) -> Bool { if case .unknown = minor { true } else { false } }
        #expect(isUnknown(await minor()))
        machine.write(information, "Model: NVIDIA")
        #expect(isUnknown(await minor()))
        machine.write(information, Self.information)
        #expect(await minor() == .known(1))
        machine.write(information, "Device Minor: 7")
        #expect(await minor() == .known(1))
        // Bound anew; the old link stays, so that the new one cannot have its number.
        let folder = machine.sysfs.root + "/" + machine.path(machine.device)
        try #require(rename(folder + "/driver", folder + "/before") == 0)
        machine.sysfs.folder.link(machine.path(machine.device) + "/driver", to: "../x/nvidia")
        #expect(await minor() == .known(7))
        #expect(isUnknown(await minors.minor(of: address, at: ["nowhere"], below: machine.sysfs.root + "/")))
        // A FIFO that nobody writes to is a read that does not come.
        let twin = try #require(machine.twin.pci)
        machine.sysfs.folder.makeFolder("proc/driver/nvidia/gpus/0000:02:00.0")
        try #require(mkfifo(machine.sysfs.root + "/proc/driver/nvidia/gpus/0000:02:00.0/information", 0o600) == 0)
        let late = await minors.minor(of: twin, at: machine.components(machine.twin), below: machine.sysfs.root + "/")
        guard case .unknown(let reason) = late else { return #expect(Bool(false), "\(late)") }
        #expect(reason.contains("not read in time"))
    }

    @Test("a console on nvidia-drm names the driver's version; the card whose driver is another's is a console")
    @LoopActor func nvidiaConsole() async throws {
        for driver in ["nvidia", "nouveau"] {
            let machine = try UseMachine(classCode: 0x030000, driver: driver)
            for (minor, device) in [machine.device, machine.twin].enumerated() {
                machine.write("proc/driver/nvidia/gpus/\(device.name)/information", "Device Minor: \(minor)")
            }
            machine.write(
                "proc/driver/nvidia/version",
                "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build  (root@x)\n"
                    + "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)")
            let below = machine.components(machine.device).joined(separator: "/")
            machine.list("fb0", in: "class/graphics", at: below + "/graphics/fb0")
            #expect(await machine.uses() == [])
            machine.write("sys/devices/virtual/vtconsole/vtcon1/name", "(M) frame buffer device")
            machine.write("sys/devices/virtual/vtconsole/vtcon1/bind", "1")
            machine.list("vtcon1", in: "class/vtconsole", at: "devices/virtual/vtconsole/vtcon1")
            let console = DeviceUse(machine.device, .bootDisplay)
            let version = DeviceUse(machine.device, .nvidiaConsole(version: "550.54.14"))
            #expect(await machine.uses() == (driver == "nvidia" ? [console, version] : [console]))
            #expect(version.reason.contains("NVIDIA's driver 550.54.14 may never let go"))
        }
    }
}
