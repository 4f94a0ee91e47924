// What a host uses its devices for, on made-up machines: taking one of these would lose the host.

import EventLoop
import Files
import Glibc
import Host
import Inventory
import PCI
import Testing
import TestSupport

@testable import LinuxHost

@Suite("What a host uses", .timeLimit(.minutes(15)))
struct UseTests {
    let sysfs = SyntheticSysfs()
    let nvme: DeviceAddress
    let nic: DeviceAddress

    init() throws {
        try EventLoop.main.runInBackground()
        nvme = .pci(try #require(PCIAddress("0000:01:00.0")))
        nic = .pci(try #require(PCIAddress("0000:02:00.0")))
        sysfs.add("0000:00:01.0", below: "pci0000:00", classCode: 0x060400)
        sysfs.add("0000:01:00.0", below: "0000:00:01.0", classCode: 0x010802)
        sysfs.add("0000:02:00.0", below: "pci0000:00")
        sysfs.folder.write("proc/1/mountinfo", "20 1 0:20 / /proc rw - proc proc rw\n")
        sysfs.folder.link("proc/1/ns/mnt", to: "mnt:[1]")
        sysfs.folder.link("proc/1/ns/pid", to: "pid:[4026531836]")
    }

    @LoopActor private func uses(of devices: DeviceAddress...) async -> [DeviceUse] {
        await LinuxHost(root: sysfs.root, writable: true).uses(of: devices)
    }

    private func block(_ name: String, below parent: String, number: String, holders: String...) {
        let path = parent + "/" + name
        sysfs.folder.write("sys/\(path)/dev", number + "\n")
        sysfs.folder.link("sys/class/block/\(name)", to: "../../" + path)
        for holder in holders { sysfs.folder.link("sys/\(path)/holders/\(holder)", to: "../x/" + holder) }
    }

    @Test("where one sequence stands in another")
    func runs() {
        func found(_ text: String, _ part: String) -> [Int] {
            text.runs(of: part).map { text.distance(from: text.startIndex, to: $0.lowerBound) }
        }
        #expect(found("a on b on c", " on ") == [1, 6])
        #expect(found("aaa", "aa") == [0])
        #expect(found("ab", "b") == [1])
        #expect(found("ab", "bc") == [] && found("", "a") == [] && found("ab", "") == [])
    }

    @Test("what a limit or a rule keeps from being seen is unknown, and what is not there is nothing")
    @LoopActor func reader() {
        let reader = UseReader(below: sysfs.root)
        #expect(reader.devices("class/nothing").isEmpty)
        #expect(reader.text("nothing", in: ["class"]) == nil)
        #expect(reader.names(["nothing"]) == [])
        #expect(reader.failure == nil)
        for errno in [EACCES, EPERM, EMFILE, ENFILE, ENOMEM] { #expect(SystemError(errno: errno).leavesUnknown) }
        for errno in [ENOENT, ENODEV, EINVAL, EIO] { #expect(!SystemError(errno: errno).leavesUnknown) }
    }

    private func addDisk(holders: String...) {
        let below = String(sysfs.path(of: "0000:01:00.0").dropFirst(4)) + "/nvme/nvme0"
        block("nvme0n1", below: below, number: "259:0")
        block("nvme0n1p1", below: below + "/nvme0n1", number: "259:1")
        let path = "sys/\(below)/nvme0n1/nvme0n1p1/holders/"
        for holder in holders { sysfs.folder.link(path + holder, to: "../../x/" + holder) }
    }

    private func mount(pid: Int = 1, namespace: Int? = nil, _ lines: String...) {
        sysfs.folder.write("proc/\(pid)/mountinfo", lines.joined(separator: "\n") + "\n")
        if let namespace { sysfs.folder.link("proc/\(pid)/ns/mnt", to: "mnt:[\(namespace)]") }
    }

    @Test("a machine that uses nothing is free")
    @LoopActor func free() async {
        addDisk()
        #expect(await uses(of: nvme, nic) == [])
    }

    @Test("a mounted partition, and the bridge above is not concerned")
    @LoopActor func mounted() async throws {
        addDisk()
        mount("30 1 259:1 / / rw shared:1 - ext4 /dev/root rw", "31 1 259:1 /srv /srv/a\\040b rw - ext4 /dev/root rw")
        let bridge = DeviceAddress.pci(try #require(PCIAddress("0000:00:01.0")))
        #expect(
            await uses(of: bridge, nvme, nic) == [
                DeviceUse(nvme, .mounted(at: "/", via: "nvme0n1p1")),
                DeviceUse(nvme, .mounted(at: "/srv/a b", via: "nvme0n1p1")),
            ])
    }

    @Test("a mount in another mount namespace, each of which is read once")
    @LoopActor func namespaces() async {
        addDisk()
        mount(pid: 50, namespace: 2, "30 1 259:0 / /container rw - ext4 /dev/nvme0n1 rw")
        mount(pid: 51, namespace: 2, "30 1 259:0 / /not-read rw - ext4 /dev/nvme0n1 rw")
        mount(pid: 52, namespace: 1, "30 1 259:0 / /not-read rw - ext4 /dev/nvme0n1 rw")
        #expect(await uses(of: nvme) == [DeviceUse(nvme, .mounted(at: "/container", via: "nvme0n1"))])
    }

    @Test("what cannot be read refuses, for devices that have disks")
    @LoopActor func unreadable() async {
        addDisk()
        // A folder where a file should be cannot be read by anybody, root included.
        sysfs.folder.remove("proc/1/mountinfo")
        sysfs.folder.makeFolder("proc/1/mountinfo")
        sysfs.folder.makeFolder("proc/60/mountinfo")
        sysfs.folder.link("proc/60/ns/mnt", to: "mnt:[60]")
        sysfs.folder.makeFolder("proc/swaps")
        let found = await uses(of: nvme, nic)
        #expect(found.count == 3)
        for use in found {
            #expect(use.device == nvme)
            guard case .unknown = use.kind else { return #expect(Bool(false), "\(use)") }
        }
    }

    @Test("a logical volume on a partition: mounted, swapped to, or not known to be used")
    @LoopActor func stacked() async {
        addDisk(holders: "dm-0", "dm-1", "md0")
        block("dm-0", below: "devices/virtual/block", number: "253:0")
        block("dm-1", below: "devices/virtual/block", number: "253:1", holders: "dm-2")
        block("dm-2", below: "devices/virtual/block", number: "253:2")
        block("md0", below: "devices/virtual/block", number: "9:0")
        sysfs.folder.write("sys/devices/virtual/block/dm-1/dm/name", "vg-swap\n")
        mount("30 1 253:0 / /home rw - xfs /dev/mapper/vg-home rw")
        sysfs.folder.write(
            "proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/mapper/vg-swap partition\t1\t0\t-2\n")
        let found = await uses(of: nvme)
        #expect(
            found == [
                DeviceUse(nvme, .mounted(at: "/home", via: "dm-0")), DeviceUse(nvme, .swap(via: "dm-1")),
                DeviceUse(nvme, .stacked(holder: "md0")), DeviceUse(nvme, .stacked(holder: "dm-2")),
            ])
    }

    @Test("a file that is swapped to lies in the innermost file system around it")
    @LoopActor func swapFile() async {
        addDisk()
        mount("30 1 8:1 / / rw - ext4 /dev/sda1 rw", "31 1 259:1 / /data rw - ext4 /dev/nvme0n1p1 rw")
        sysfs.folder.write("proc/swaps", "Filename\tType\n/data/swap\\040file file\n")
        #expect(
            await uses(of: nvme) == [
                DeviceUse(nvme, .mounted(at: "/data", via: "nvme0n1p1")), DeviceUse(nvme, .swap(via: "nvme0n1p1")),
            ])
    }

    @Test("a loop device made of a disk, which the disk does not know of")
    @LoopActor func loop() async {
        addDisk()
        block("loop0", below: "devices/virtual/block", number: "7:0")
        sysfs.folder.write("sys/devices/virtual/block/loop0/loop/backing_file", "/dev/nvme0n1p1\n")
        #expect(await uses(of: nvme) == [DeviceUse(nvme, .stacked(holder: "loop0"))])
        mount("30 1 7:0 / /image rw - ext4 /dev/loop0 rw")
        #expect(await uses(of: nvme) == [DeviceUse(nvme, .mounted(at: "/image", via: "loop0"))])
    }

    @Test("btrfs is on all of its devices, whichever the mount names")
    @LoopActor func btrfs() async {
        addDisk()
        block("sda", below: "devices/platform/ahci/block", number: "8:0")
        for name in ["sda", "nvme0n1p1"] {
            sysfs.folder.link("sys/fs/btrfs/uuid/devices/\(name)", to: "../../x/\(name)")
        }
        mount("30 1 0:50 / /pool rw - btrfs /dev/sda rw")
        #expect(await uses(of: nvme) == [DeviceUse(nvme, .mounted(at: "/pool", via: "btrfs uuid"))])
    }

    @Test("a disk of NVMe with several paths is its controller's, though it lies elsewhere")
    @LoopActor func multipath() async {
        let folder = "devices/virtual/nvme-subsystem/nvme-subsys0"
        block("nvme0n1", below: folder, number: "259:7")
        sysfs.folder.link(
            "sys/\(folder)/nvme0",
            to: "../../../../" + String(sysfs.path(of: "0000:01:00.0").dropFirst(4)) + "/nvme/nvme0")
        mount("30 1 259:7 / / rw - ext4 /dev/nvme0n1 rw")
        #expect(await uses(of: nvme) == [DeviceUse(nvme, .mounted(at: "/", via: "nvme0n1"))])
    }

    @Test("a disk behind a device that is a host bridge itself is that device's")
    @LoopActor func volumeManagementDevice() async throws {
        let below = sysfs.path(of: "0000:02:00.0").dropFirst(4) + "/pci10000:e0"
        sysfs.add("10000:e0:06.0", below: String(below), classCode: 0x010802)
        let disk = DeviceAddress.pci(try #require(PCIAddress("10000:e0:06.0")))
        block("nvme5n1", below: String(sysfs.path(of: "10000:e0:06.0").dropFirst(4)) + "/nvme/nvme5", number: "259:9")
        mount("30 1 259:9 / / rw - ext4 /dev/nvme5n1 rw")
        #expect(
            await uses(of: nic, nvme, disk) == [
                DeviceUse(nic, .mounted(at: "/", via: "nvme5n1")), DeviceUse(disk, .mounted(at: "/", via: "nvme5n1")),
            ])
    }

    @Test("the display of the firmware, and the one that the console is on")
    @LoopActor func displays() async {
        let path = sysfs.path(of: "0000:02:00.0")
        sysfs.folder.write(path + "/boot_vga", "1\n")
        #expect(await uses(of: nic) == [DeviceUse(nic, .bootDisplay)])
        sysfs.folder.write(path + "/boot_vga", "0\n")
        sysfs.folder.makeFolder(path + "/graphics/fb0")
        sysfs.folder.link("sys/class/graphics/fb0", to: "../../" + path.dropFirst(4) + "/graphics/fb0")
        #expect(await uses(of: nic) == [])
        sysfs.folder.write("sys/devices/virtual/vtconsole/vtcon1/name", "(M) frame buffer device\n")
        sysfs.folder.write("sys/devices/virtual/vtconsole/vtcon1/bind", "1\n")
        sysfs.folder.link("sys/class/vtconsole/vtcon1", to: "../../devices/virtual/vtconsole/vtcon1")
        #expect(await uses(of: nic) == [DeviceUse(nic, .bootDisplay)])
    }

    @Test("who has a node of the device open, but not those of vfio or of functions behind it")
    @LoopActor func openNodes() async throws {
        let path = sysfs.path(of: "0000:02:00.0")
        sysfs.folder.write(path + "/drm/card0/dev", "1:5\n")
        sysfs.folder.write(path + "/vfio-dev/vfio0/dev", "1:3\n")
        for (pid, target) in [(4_200_011, "/dev/zero"), (4_200_012, "/dev/null")] {
            sysfs.folder.write("proc/\(pid)/stat", "\(pid) (x) S 1" + String(repeating: " 0", count: 17) + " 9 0\n")
            sysfs.folder.write("proc/\(pid)/comm", "Xorg\n")
            sysfs.folder.link("proc/\(pid)/fd/5", to: target)
        }
        let client = DeviceUse.Kind.graphicsClient(pid: 4_200_011, command: "Xorg", nodes: "card0")
        #expect(await uses(of: nic, nvme) == [DeviceUse(nic, client)])
        let bridge = DeviceAddress.pci(try #require(PCIAddress("0000:00:01.0")))
        sysfs.folder.write(sysfs.path(of: "0000:01:00.0") + "/nvme/nvme0/dev", "1:3\n")
        #expect(await uses(of: bridge) == [])
        #expect(await uses(of: nvme) == [DeviceUse(nvme, .open(pid: 4_200_012, command: "Xorg"))])
    }

    @Test("in a container nothing is known, and that is said with what helps; on a kernel without namespaces all is")
    @LoopActor func container() async throws {
        addDisk()
        mount("30 1 0:30 / / rw - overlay overlay rw")
        sysfs.folder.remove("proc/1/ns/pid")
        sysfs.folder.link("proc/1/ns/pid", to: "pid:[4026532201]")
        let found = await uses(of: nvme, nic)
        #expect(found.map(\.device) == [nvme, nic])
        for use in found {
            #expect(use.rule.severity == .unknown)
            #expect(use.reason.contains("--pid=host"), "\(use.reason)")
        }
        sysfs.folder.remove("proc/1/ns/pid")
        #expect(await uses(of: nvme, nic) == [])
        // A file where a link should be cannot be read as one by anybody.
        sysfs.folder.write("proc/1/ns/pid", "")
        #expect(await uses(of: nic).map(\.rule.severity) == [.unknown])
        sysfs.folder.remove("proc/1")
        #expect(await uses(of: nic).first?.reason.contains("process 1") == true)
        sysfs.folder.remove("proc")
        #expect(await uses(of: nic).map(\.rule.severity) == [.unknown])
    }

    @Test("a namespace that cannot be read is named by its process, and says nothing of a drive without a medium")
    @LoopActor func unreadableNamespace() async {
        addDisk()
        sysfs.folder.makeFolder("proc/60/mountinfo")
        sysfs.folder.write("proc/60/comm", "runc\n")
        sysfs.folder.link("proc/60/ns/mnt", to: "mnt:[60]")
        let found = await uses(of: nvme, nic)
        #expect(found.map(\.device) == [nvme])
        #expect(found.first?.reason.contains("the mounts of process 60 (runc) cannot be read") == true)
        let disk = sysfs.path(of: "0000:01:00.0") + "/nvme/nvme0/nvme0n1"
        for path in [disk, disk + "/nvme0n1p1"] { sysfs.folder.write(path + "/size", "0\n") }
        #expect(await uses(of: nvme) == [])
        for path in [disk, disk + "/nvme0n1p1"] { sysfs.folder.write(path + "/size", "4096\n") }
        // Another process of the namespace tells the same.
        mount(pid: 61, namespace: 60, "30 1 0:30 / / rw - overlay overlay rw")
        #expect(await uses(of: nvme) == [])
    }

    @Test("many processes that cannot be looked into are counted, not listed")
    @LoopActor func manyUnreadable() async {
        addDisk()
        for pid in 70..<80 {
            sysfs.folder.makeFolder("proc/\(pid)/mountinfo")
            sysfs.folder.link("proc/\(pid)/ns/mnt", to: "mnt:[\(pid)]")
        }
        let found = await uses(of: nvme)
        #expect(found.count == 4)
        #expect(found.last?.reason.contains("7 more processes") == true)
    }

    @Test("a table of 100,000 mounts is read as a stream, and what is mounted on the disk is found at its end")
    @LoopActor func manyMounts() async throws {
        addDisk()
        var text = "20 1 0:20 / /proc rw - proc proc rw\n"
        for index in 0..<50_000 {
            text += "\(index) 1 0:\(index) / /tmp/\(index) rw - tmpfs /dev/nvme0n1p1 rw\n"
            text += "\(index) 1 8:1 / /bind/\(index) rw - ext4 /dev/sda1 rw\n"
        }
        text += "7 1 259:1 / /late rw - ext4 /dev/nvme0n1p1 rw"
        sysfs.folder.write("proc/1/mountinfo", text)
        let facts = await MountFacts(below: sysfs.root)
        #expect(facts.mounts.count == 9)
        #expect(facts.unknown == [])
        #expect(await uses(of: nvme) == [DeviceUse(nvme, .mounted(at: "/late", via: "nvme0n1p1"))])
    }

    @Test("however a table is cut into pieces, the same is kept; a line without an end does not fill memory")
    func pieces() {
        let lines = (0..<40).map { "\($0) 1 259:\($0 % 3) / /m/\($0) rw shared:1 - xfs /dev/x\($0 % 3) rw" }
        let bytes = Array(lines.joined(separator: "\n").utf8)
        var whole = MountStream(files: ["/m/39/swap"])
        whole.add(bytes)
        whole.endTable()
        #expect(whole.mounts.count == 25)
        #expect(whole.mounts.contains { $0.point == "/m/39" })
        for size in [1, 2, 3, 7, 64, 1000] {
            var stream = MountStream(files: ["/m/39/swap"])
            for start in stride(from: 0, to: bytes.count, by: size) { stream.add(bytes[start...].prefix(size)) }
            stream.endTable()
            #expect(stream.mounts == whole.mounts)
        }
        var endless = MountStream()
        for _ in 0..<40 { endless.add([UInt8](repeating: 0x20, count: 1 << 16)) }
        #expect(endless.isIncomplete)
        #expect(endless.mounts == [])
    }

    @Test("a process that may not be looked into leaves unknown who has nodes open, of devices that have nodes")
    func unseen() {
        var open = OpenNodes()
        #expect(open.unseenText == nil)
        open.unseen = [.init(pid: 7, command: "qemu", errno: EACCES), .init(pid: 8, command: "x", errno: EACCES)]
        #expect(open.unseenText == "what process 7 (qemu) has open cannot be seen, nor of 1 more: Permission denied")
    }

    @Test("lines that make no sense are left out")
    func nonsense() {
        #expect(Mount.table("\n1 2\n1 2 3:4 / /x rw - ext4\n1 2 3:4 / /x rw master:1 ext4 a b\n".utf8) == [])
        #expect(
            Mount.table("1 2 3:4 / /x rw a:1 b:2 - ext4 /dev/x\\134 rw".utf8) == [
                Mount(number: "3:4", point: "/x", type: "ext4", source: "/dev/x\\")
            ])
        #expect(SwapArea.table("Filename\n/x\n".utf8) == [])
    }
}
