// What a host uses its disks for without a holder in sysfs, each beside a disk of the same machine that is free, or the
// same disk once the use has ended.

import EventLoop
import Files
import Host
import Inventory
import PCI
import Testing
import TestSupport

@testable import LinuxHost

/// A machine with a disk of NVMe and a controller of USB, as sysfs and /proc of real kernels show them.
private struct StorageMachine {
    let sysfs = SyntheticSysfs()
    let disk: DeviceAddress
    /// The twin, whose disk is used by nobody.
    let idle: DeviceAddress
    let usb: DeviceAddress

    init() throws {
        try EventLoop.main.runInBackground()
        disk = .pci(try #require(PCIAddress("0000:01:00.0")))
        idle = .pci(try #require(PCIAddress("0000:02:00.0")))
        usb = .pci(try #require(PCIAddress("0000:00:14.0")))
        for (number, address) in ["0000:01:00.0", "0000:02:00.0"].enumerated() {
            sysfs.add(address, below: "pci0000:00", classCode: 0x010802)
            let controller = folder(of: address) + "/nvme/nvme\(number)"
            sysfs.folder.write("sys/\(controller)/state", "live\n")
            sysfs.folder.link("sys/class/nvme/nvme\(number)", to: "../../\(controller)")
            let name = "nvme\(number)n1"
            block(name, below: controller, number: "259:\(number * 10)")
            for part in 1...3 {
                block("\(name)p\(part)", below: controller + "/" + name, number: "259:\(number * 10 + part)")
            }
        }
        sysfs.add("0000:00:14.0", below: "pci0000:00", classCode: 0x0c0330)
        mount()
        sysfs.folder.link("proc/1/ns/mnt", to: "mnt:[1]")
        sysfs.folder.write("proc/1/net/route", "Iface\tDestination\tGateway\n")
    }

    func folder(of address: String) -> String { String(sysfs.path(of: address).dropFirst(4)) }

    func block(_ name: String, below parent: String = "devices/virtual/block", number: String?) {
        let path = parent + "/" + name
        sysfs.folder.makeFolder("sys/\(path)/holders")
        if let number { sysfs.folder.write("sys/\(path)/dev", number + "\n") }
        sysfs.folder.link("sys/class/block/\(name)", to: "../../" + path)
    }

    func path(ofPart part: Int) -> String { folder(of: "0000:01:00.0") + "/nvme/nvme0/nvme0n1/nvme0n1p\(part)" }

    func hold(_ holder: String, part: Int) {
        sysfs.folder.link("sys/\(path(ofPart: part))/holders/\(holder)", to: "../x/\(holder)")
    }

    func mapped(_ name: String, _ mapperName: String, _ identity: String, number: String) {
        block(name, number: number)
        sysfs.folder.write("sys/devices/virtual/block/\(name)/dm/name", mapperName + "\n")
        sysfs.folder.write("sys/devices/virtual/block/\(name)/dm/uuid", identity + "\n")
    }

    func mount(_ lines: String...) {
        let all = ["20 1 0:20 / /proc rw - proc proc rw"] + lines
        sysfs.folder.write("proc/1/mountinfo", all.joined(separator: "\n") + "\n")
    }

    @LoopActor func uses(of device: DeviceAddress) async -> [DeviceUse.Kind] {
        await LinuxHost(root: sysfs.root, writable: true).uses(of: [device]).map(\.kind)
    }
}

@Suite("What a host uses its disks for", .timeLimit(.minutes(15)))
struct StorageUseTests {
    private let machine: StorageMachine
    private var folder: TemporaryFolder { machine.sysfs.folder }

    init() throws { machine = try StorageMachine() }

    @LoopActor private func expect(
        _ kinds: DeviceUse.Kind..., sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        #expect(await machine.uses(of: machine.disk) == kinds, sourceLocation: sourceLocation)
        #expect(await machine.uses(of: machine.idle) == [], "the twin", sourceLocation: sourceLocation)
    }

    private func unknown(_ reason: String) -> DeviceUse.Kind { .unknown(reason: reason) }

    @Test("a disk with file systems on it that nobody has mounted is free")
    @LoopActor func idle() async {
        await expect()
    }

    // MARK: Parts of file systems

    @Test("the log and the realtime device of XFS, by their paths")
    @LoopActor func partsOfXFS() async {
        folder.link("dev/disk/by-partlabel/realtime", to: "../../nvme0n1p2")
        machine.mount(
            "30 1 8:1 / /data rw - xfs /dev/sda1 rw,attr2,logdev=/dev/nvme0n1p3,logbufs=8,"
                + "rtdev=/dev/disk/by-partlabel/realtime,noquota")
        let whole = "the XFS file system at /data"
        await expect(
            .part(role: "realtime device", of: whole, via: "nvme0n1p2"),
            .part(role: "log device", of: whole, via: "nvme0n1p3"))
        machine.mount("30 1 8:1 / /data rw - xfs /dev/sda1 rw,attr2,logbufs=8,noquota")
        await expect()
        machine.mount("30 1 8:1 / /data rw - xfs /dev/sda1 rw,logdev=/dev/gone,noquota")
        #expect(
            await machine.uses(of: machine.disk)
                == [unknown("it is not known which disk /dev/gone is, the log device of \(whole)")])
        #expect(await machine.uses(of: machine.usb) == [], "it has no disk")
    }

    @Test("an external journal of ext4, whose thread tells the file system")
    @LoopActor func journal() async {
        machine.block("sda1", below: "devices/platform/ahci/block", number: "8:1")
        machine.mount("30 1 8:1 / /srv rw - ext4 /dev/sda1 rw")
        folder.makeFolder("sys/fs/ext4/features")
        // An internal one, of another disk.
        folder.write("proc/fs/jbd2/sda1-8/info", "x")
        await expect()
        folder.write("proc/fs/jbd2/nvme0n1p2/info", "x")
        await expect(.part(role: "journal", of: "a file system", via: "nvme0n1p2"))
        folder.write("sys/fs/ext4/sda1/journal_task", "318\n")
        for command in ["jbd2/nvme0n1p2", "jbd2/nvme0n1p2\n"] {
            folder.write("proc/318/comm", command)
            await expect(.part(role: "journal", of: "the ext4 file system at /srv", via: "nvme0n1p2"))
        }
    }

    @Test("a file system that the kernel has, though nobody sees it mounted")
    @LoopActor func unseen() async {
        folder.write("sys/fs/ext4/nvme0n1p1/session_write_kbytes", "1\n")
        await expect(.fileSystem(type: "ext4", via: "nvme0n1p1"))
        machine.mount("30 1 259:1 / /srv rw - ext4 /dev/nvme0n1p1 rw")
        await expect(.mounted(at: "/srv", via: "nvme0n1p1"))
    }

    @Test("F2FS on several disks")
    @LoopActor func disksOfF2FS() async {
        machine.mount("30 1 8:1 / /flash rw - f2fs /dev/sda1 rw")
        machine.block("sda1", below: "devices/platform/ahci/block", number: "8:1")
        folder.write(
            "proc/fs/f2fs/sda1/disk_map",
            "Address Layout   :  4096B Block address (# of Segments)\n\nDisk Map for multi devices:\n"
                + "Disk: 0 (zoned=0): 0x0000000000 - 0x00001fffff on /dev/sda1\n"
                + "Disk: 1 (zoned=0): 0x0000200000 - 0x00003fffff on /dev/nvme0n1p3\n")
        await expect(.part(role: "disk", of: "the F2FS file system at /flash", via: "nvme0n1p3"))
    }

    @Test("bcachefs on several disks, whichever the mount names")
    @LoopActor func bcachefs() async {
        folder.link("sys/fs/bcachefs/uuid/dev-0/block", to: "../../x/sda")
        folder.link("sys/fs/bcachefs/uuid/dev-1/block", to: "../../x/nvme0n1p1")
        await expect(.stacked(holder: "bcachefs uuid"))
        machine.mount("30 1 0:50 / /pool rw - bcachefs /dev/sda:/dev/nvme0n1p1 rw")
        await expect(.mounted(at: "/pool", via: "bcachefs uuid"))
        folder.remove("sys/fs/bcachefs")
        await expect(.mounted(at: "/pool", via: "nvme0n1p1"))
    }

    // MARK: What stacks

    @Test("volumes of LVM, encrypted disks, and arrays are called as people know them")
    @LoopActor func labels() async {
        machine.mapped("dm-0", "my--vg-home-real", "LVM-abc-real", number: "253:0")
        machine.mapped("dm-1", "secret", "CRYPT-LUKS2-abc-secret", number: "253:1")
        machine.block("md0", number: "9:0")
        folder.write("sys/devices/virtual/block/md0/md/level", "raid1\n")
        folder.write("sys/devices/virtual/block/md0/md/array_state", "clean\n")
        machine.hold("dm-0", part: 1)
        machine.hold("dm-1", part: 2)
        machine.hold("md0", part: 3)
        await expect(
            .stacked(holder: "dm-0 (the logical volume my-vg/home)"), .stacked(holder: "dm-1 (encrypted, secret)"),
            .stacked(holder: "md0 (raid1)"))
        folder.write("sys/devices/virtual/block/md0/md/array_state", "inactive\n")
        #expect(
            await machine.uses(of: machine.disk).contains(.stacked(holder: "md0 (an array that does not run)")))
    }

    @Test("a physical volume without a logical one, of a group that is active")
    @LoopActor func volumeGroup() async {
        folder.write("run/lvm/pvs_online/abc", "259:1\nvg:vg\ndev:/dev/nvme0n1p1\n")
        folder.write("run/lvm/pvs_online/def", "259:11\nvg:other\ndev:/dev/nvme1n1p1\n")
        await expect()
        machine.mapped("dm-0", "vg-home", "LVM-abc", number: "253:0")
        await expect(.volumeGroup("vg", via: "nvme0n1p1"))
        machine.hold("dm-0", part: 1)
        await expect(.stacked(holder: "dm-0 (the logical volume vg/home)"))
    }

    @Test("a physical volume whose group LVM has recorded in its hints, since it was made after the disk had appeared")
    @LoopActor func hintedVolumeGroup() async {
        folder.write(
            "run/lvm/hints",
            "# Created by pvs\nglobal_filter:-\nscan:/dev/nvme0n1p1 pvid:abc devn:259:1 vg:vg\n"
                + "scan:/dev/nvme1n1p1 pvid:def devn:259:11 vg:-\n")
        folder.write("run/udev/data/b259:1", "E:ID_FS_TYPE=LVM2_member\n")
        machine.mapped("dm-0", "other-home", "LVM-abc", number: "253:0")
        await expect()
        machine.mapped("dm-1", "vg-home", "LVM-def", number: "253:1")
        await expect(.volumeGroup("vg", via: "nvme0n1p1"))
    }

    @Test("a physical volume of a group that is not on record, while some group is active, is unknown")
    @LoopActor func unrecordedVolumeGroup() async {
        folder.write("run/udev/data/b259:1", "E:ID_FS_TYPE=LVM2_member\n")
        folder.write("run/udev/data/b259:11", "E:ID_FS_TYPE=ext4\n")
        await expect()
        machine.mapped("dm-0", "vg-home", "LVM-abc", number: "253:0")
        await expect(
            .unknown(
                reason: "nvme0n1p1 on it is a physical volume of LVM, and LVM has not recorded of which group: "
                    + "`pvscan --cache /dev/nvme0n1p1` records it"))
        // Once it is recorded, what is not active is free.
        folder.write("run/lvm/pvs_online/abc", "259:1\nvg:another\ndev:/dev/nvme0n1p1\n")
        await expect()
    }

    @Test("a disk that bcache has registered, with nothing on it yet")
    @LoopActor func bcache() async {
        folder.write("sys/\(machine.path(ofPart: 1))/bcache/priority_stats", "x")
        await expect()
        folder.write("sys/fs/bcache/register", "")
        await expect(.stacked(holder: "bcache"))
        machine.block("bcache0", number: "252:0")
        machine.hold("bcache0", part: 1)
        machine.mount("30 1 252:0 / /srv rw - xfs /dev/bcache0 rw")
        await expect(.mounted(at: "/srv", via: "bcache0"))
    }

    @Test("the device that zram writes to, and is swapped to through it")
    @LoopActor func zram() async {
        machine.block("zram0", number: "251:0")
        folder.write("sys/devices/virtual/block/zram0/backing_dev", "none\n")
        folder.write("proc/swaps", "Filename\tType\n/dev/zram0 partition\n")
        await expect()
        folder.write("sys/devices/virtual/block/zram0/backing_dev", "/dev/nvme0n1p2\n")
        await expect(.swap(via: "zram0"))
        folder.write("sys/devices/virtual/block/zram0/backing_dev", "/dev/elsewhere\n")
        #expect(
            await machine.uses(of: machine.disk)
                == [unknown("it is not known which disk /dev/elsewhere is, on which zram0 stands")])
    }

    @Test("a loop device on a node that is gone, and one on a file")
    @LoopActor func loop() async {
        machine.block("loop0", number: "7:0")
        folder.write("sys/devices/virtual/block/loop0/loop/backing_file", "/srv/image\n")
        await expect()
        folder.write("sys/devices/virtual/block/loop0/loop/backing_file", "/dev/nvme0n1p1 (deleted)\n")
        await expect(.stacked(holder: "loop0"))
    }

    // MARK: Exports

    @Test("a namespace of nvmet, once it is enabled, and a controller that it passes through")
    @LoopActor func nvmet() async {
        let subsystem = "sys/kernel/config/nvmet/subsystems/nqn.a"
        folder.write("\(subsystem)/namespaces/1/device_path", "/dev/nvme0n1p1\n")
        folder.write("\(subsystem)/namespaces/1/enable", "0\n")
        await expect()
        folder.write("\(subsystem)/namespaces/1/enable", "1\n")
        await expect(.exported(by: "nvmet (nqn.a, namespace 1)", via: "nvme0n1p1"))
        folder.write("\(subsystem)/namespaces/1/device_path", "/srv/image\n")
        await expect()
        folder.write("\(subsystem)/passthru/device_path", "/dev/nvme0\n")
        folder.write("\(subsystem)/passthru/enable", "1\n")
        await expect(.exported(by: "nvmet (nqn.a, the whole controller)", via: "nvme0"))
    }

    @Test("backstores of LIO, by number, by path, and by the address of SCSI")
    @LoopActor func scsiTarget() async {
        let core = "sys/kernel/config/target/core"
        folder.write("\(core)/iblock_0/disk/enable", "1\n")
        folder.write("\(core)/iblock_0/disk/udev_path", "/dev/elsewhere\n")
        folder.write(
            "\(core)/iblock_0/disk/info",
            "Status: ACTIVATED  Max Queue Depth: 0  SectorSize: 512  HwMaxSectors: 2048\n"
                + "        iBlock device: nvme0n1p2  UDEV PATH: /dev/elsewhere  readonly: 0\n"
                + "        Major: 259 Minor: 2  CLAIMED: IBLOCK\n")
        await expect(.exported(by: "LIO (iblock_0/disk)", via: "nvme0n1p2"))
        folder.write("\(core)/iblock_0/disk/enable", "0\n")
        await expect()
        folder.write("\(core)/fileio_1/file/enable", "1\n")
        folder.write(
            "\(core)/fileio_1/file/info", "TCM FILEIO ID: 0        File: /dev/nvme0n1  Size: 1  Mode: O_DSYNC\n")
        await expect(.exported(by: "LIO (fileio_1/file)", via: "nvme0n1"))
        folder.remove("\(core)/fileio_1")
        let target = machine.folder(of: "0000:01:00.0") + "/ata1/host3/target3:0:1/3:0:1:0"
        folder.makeFolder("sys/" + target)
        folder.link("sys/bus/scsi/devices/3:0:1:0", to: "../../../" + target)
        folder.write("\(core)/pscsi_2/tape/enable", "1\n")
        folder.write(
            "\(core)/pscsi_2/tape/info",
            "Status: ACTIVATED\n SCSI Device Bus Location: Channel ID: 0 Target ID: 1 LUN: 0 Host ID: 3\n")
        await expect(.exported(by: "LIO (pscsi_2/tape)", via: "3:0:1:0"))
    }

    @Test("exports that cannot be seen are unknown for devices with disks")
    @LoopActor func unseenExports() async {
        folder.write("sys/module/nvmet/refcnt", "1\n")
        #expect(
            await machine.uses(of: machine.disk) == [
                unknown("nvmet is loaded, and what it exports cannot be seen: mount configfs at /sys/kernel/config")
            ])
        #expect(await machine.uses(of: machine.usb) == [])
        folder.makeFolder("sys/kernel/config/nvmet/subsystems")
        await expect()
    }

    // MARK: ZFS

    @Test("a pool of ZFS, with or without a mounted dataset, by what udev knows of the disks")
    @LoopActor func zfs() async {
        folder.write("proc/spl/kstat/zfs/arcstats", "x")
        await expect()
        folder.write("proc/spl/kstat/zfs/tank/state", "ONLINE\n")
        let reason = unknown("ZFS does not tell on which disks its pool tank is; zpool status -LP does")
        #expect(await machine.uses(of: machine.disk) == [reason])
        #expect(await machine.uses(of: machine.usb) == [])
        for number in [0, 10] { folder.write("run/udev/data/b259:\(number)", "I:1\nE:ID_PART_TABLE_TYPE=gpt\n") }
        for number in [11, 12] { folder.write("run/udev/data/b259:\(number)", "I:1\nE:ID_FS_TYPE=ext4\n") }
        folder.write(
            "run/udev/data/b259:13", "E:ID_PART_ENTRY_TYPE=e3c9e316-0b5c-4db8-817d-f92df00215ae\n")
        #expect(await machine.uses(of: machine.disk) == [reason])
        #expect(await machine.uses(of: machine.idle) == [])
        folder.write("run/udev/data/b259:1", "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=tank\n")
        await expect(.stacked(holder: "the ZFS pool tank"))
        folder.remove("proc/spl/kstat/zfs/tank")
        await expect()
        machine.mount("30 1 0:50 / /tank rw - zfs tank/data rw")
        await expect(.stacked(holder: "the ZFS pool tank"))
    }

    // MARK: Several ways

    private func share(_ name: String, controllers: Int...) {
        let subsystem = "devices/virtual/nvme-subsystem/nvme-subsys0"
        machine.block(name, below: subsystem, number: "259:70")
        for number in controllers {
            let address = ["0000:01:00.0", "0000:02:00.0"][number]
            folder.link(
                "sys/\(subsystem)/nvme\(number)",
                to: "../../../../\(machine.folder(of: address))/nvme/nvme\(number)")
        }
    }

    @Test("one of several paths to a disk of NVMe, as long as the disk is used")
    @LoopActor func path() async {
        share("nvme0n7", controllers: 0, 1)
        #expect(await machine.uses(of: machine.disk) == [])
        machine.mount("30 1 259:70 / /srv rw - ext4 /dev/nvme0n7 rw")
        let mounted = DeviceUse.Kind.mounted(at: "/srv", via: "nvme0n7")
        #expect(
            await machine.uses(of: machine.disk)
                == [mounted, .path(to: "nvme0n7", others: ["nvme1 (0000:02:00.0)"])])
        folder.write("sys/\(machine.folder(of: "0000:02:00.0"))/nvme/nvme1/state", "dead\n")
        #expect(await machine.uses(of: machine.disk) == [mounted])
    }

    @Test("the node of a disk with several paths, which lies elsewhere, and who has it open")
    func openPath() {
        let number = NodeNumber(isBlock: true, major: 259, minor: 70)
        var uses = DiskUses()
        uses.blocks = [
            BlockDevice(
                name: "nvme0n7", paths: [["nvme-subsys0", "nvme0n7"], ["device", "nvme0", "nvme0n7"]],
                number: "259:70")
        ]
        var subject = UseSubject(device: machine.disk, path: ["device"])
        #expect(uses.nodes(of: subject) == [number])
        let process = ProcessIdentity(pid: 77, startTime: 1)
        subject.openers = [.init(process: process, command: "qemu", nodes: [number], vfioDevices: [])]
        #expect(uses.kinds(of: subject) == [.open(pid: 77, command: "qemu")])
        subject.nodes = [number: ["nvme0n1"]]
        #expect(uses.kinds(of: subject) == [], "another source says so")
    }

    @Test("the paths that dm-multipath has made one disk of")
    @LoopActor func mapperPath() async {
        machine.mapped("dm-0", "mpatha", "mpath-3600", number: "253:0")
        machine.block("sdb", below: "devices/platform/fc/block", number: "8:16")
        folder.link("sys/devices/platform/fc/block/sdb/holders/dm-0", to: "../x/dm-0")
        machine.hold("dm-0", part: 1)
        await expect(.stacked(holder: "dm-0 (multipath, mpatha)"))
        machine.mount("30 1 253:0 / /srv rw - ext4 /dev/mapper/mpatha rw")
        await expect(
            .mounted(at: "/srv", via: "dm-0"), .path(to: "dm-0 (multipath, mpatha)", others: ["sdb"]))
    }

    @Test("the same disk by another controller, where the kernel has not made one of the two")
    @LoopActor func sameDisk() async {
        let other = machine.folder(of: "0000:00:14.0") + "/nvme/nvme9"
        machine.block("nvme9n1", below: other, number: "259:90")
        let own = machine.folder(of: "0000:01:00.0") + "/nvme/nvme0/nvme0n1/wwid"
        folder.write("sys/\(own)", "eui.0025385b71b0aaaa\n")
        folder.write("sys/\(other)/nvme9n1/wwid", "eui.0025385b71b0aaaa\n")
        await expect()
        machine.mount("30 1 259:90 / /srv rw - ext4 /dev/nvme9n1 rw")
        await expect(.sameDisk(as: "nvme9n1", use: "is mounted at /srv", via: "nvme0n1"))
        folder.write("sys/\(own)", "eui.0025385b71b0bbbb\n")
        await expect()
    }

    // MARK: Disks behind other controllers

    @Test("a stick of USB and a card behind a controller")
    @LoopActor func behindUSB() async {
        let controller = machine.folder(of: "0000:00:14.0")
        let scsi = controller + "/usb1/1-2/1-2:1.0/host4/target4:0:0/4:0:0:0/block"
        machine.block("sdc", below: scsi, number: "8:32")
        machine.block("sdc1", below: scsi + "/sdc", number: "8:33")
        machine.block("mmcblk0", below: controller + "/mmc_host/mmc0/mmc0:0001/block", number: "179:0")
        #expect(await machine.uses(of: machine.usb) == [])
        machine.mount("30 1 8:33 / /boot rw - vfat /dev/sdc1 rw", "31 1 179:0 / / rw - ext4 /dev/mmcblk0 rw")
        #expect(
            await machine.uses(of: machine.usb)
                == [.mounted(at: "/", via: "mmcblk0"), .mounted(at: "/boot", via: "sdc1")])
        await expect()
    }

    // MARK: Sentences and values

    @Test("what is said of each kind")
    func sentences() {
        let kinds: [(DeviceUse.Kind, String)] = [
            (
                .part(role: "log device", of: "the XFS file system at /data", via: "nvme0n1p3"),
                "nvme0n1p3 on it is the log device of the XFS file system at /data"
            ),
            (
                .fileSystem(type: "ext4", via: "sda1"),
                "the ext4 file system of sda1 on it is in use, though no process is known to see it mounted"
            ),
            (.exported(by: "nvmet (a, namespace 1)", via: "sda"), "sda on it is exported by nvmet (a, namespace 1)"),
            (.volumeGroup("vg", via: "sda1"), "sda1 on it belongs to the volume group vg, which is active"),
            (
                .path(to: "nvme0n1", others: ["nvme1", "nvme2"]),
                "it is one of 3 paths to nvme0n1, which would be left with nvme1 and nvme2"
            ),
            (
                .sameDisk(as: "nvme9n1", use: "is swapped to", via: "nvme0n1"),
                "nvme0n1 on it is the same disk as nvme9n1, which is swapped to"
            ),
        ]
        for (kind, sentence) in kinds { #expect(DeviceUse(machine.disk, kind).reason == sentence) }
    }

    @Test("names of volumes, in which hyphens are doubled")
    func volumeNames() {
        #expect(LogicalVolume(mapperName: "vg-a--b") == LogicalVolume(group: "vg", name: "a-b"))
        #expect(LogicalVolume(mapperName: "a--b-c_tmeta") == LogicalVolume(group: "a-b", name: "c_tmeta"))
        #expect(LogicalVolume(group: "a-b", name: "c").mapperName == "a--b-c")
        for name in ["", "vg", "-", "vg-", "-lv", "vg--lv"] { #expect(LogicalVolume(mapperName: name) == nil) }
    }

    @Test("records that make no sense say nothing")
    func nonsense() {
        #expect(PhysicalVolume([]) == nil)
        #expect(PhysicalVolume(["259:1"]) == nil)
        #expect(PhysicalVolume(["259:1", "vg:"]) == nil)
        #expect(ZFSPools.content(ofRecord: ["", "E:", "E:ID_FS_TYPE", "S:ID_FS_TYPE=ext4"]) == nil)
        #expect(Export.device(ofBackstore: [], udevPath: nil) == .unknown)
        #expect(Export.device(ofBackstore: ["Major: 0 Minor: 0"], udevPath: "/dev/a") == .path("/dev/a"))
        #expect(Export.device(ofBackstore: ["Major:"], udevPath: "") == .unknown)
        #expect(Export.device(ofBackstore: ["Host ID: PHBA Mode"], udevPath: nil) == .unknown)
    }
}
