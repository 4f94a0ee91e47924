// A made-up machine of three functions that tests of uses put things on.

import EventLoop
import Host
import Inventory
import PCI
import Testing
import TestSupport

@testable import LinuxHost

/// A machine with nothing in use: what a test wants in use it writes.
struct UseMachine {
    let sysfs = SyntheticSysfs()
    /// The one that a test uses, and its allowed twin.
    let device: DeviceAddress
    let twin: DeviceAddress

    init(classCode: UInt32 = 0x020000, driver: String? = nil) throws {
        try EventLoop.main.runInBackground()
        device = .pci(try #require(PCIAddress("0000:01:00.0")))
        twin = .pci(try #require(PCIAddress("0000:02:00.0")))
        sysfs.add("0000:00:01.0", below: "pci0000:00", classCode: 0x060400)
        sysfs.add("0000:01:00.0", below: "0000:00:01.0", classCode: classCode, driver: driver)
        sysfs.add("0000:02:00.0", below: "pci0000:00", classCode: classCode, driver: driver)
        sysfs.folder.write("proc/1/mountinfo", "20 1 0:20 / /proc rw - proc proc rw\n")
        sysfs.folder.link("proc/1/ns/mnt", to: "mnt:[1]")
        sysfs.folder.link("proc/1/ns/pid", to: "pid:[4026531836]")
    }

    /// The folder of a device, below the root and below /sys.
    func path(_ device: DeviceAddress) -> String { sysfs.path(of: device.name) }
    func components(_ device: DeviceAddress) -> [String] {
        path(device).split(separator: "/").dropFirst().map { String($0) }
    }

    func write(_ path: String, _ text: String) { sysfs.folder.write(path, text + "\n") }

    /// Puts a folder into a class or bus, as a link: `list` is `class/tty`, `folder` lies below /sys.
    func list(_ name: String, in list: String, at folder: String) {
        let up = String(repeating: "../", count: list.split(separator: "/").count)
        sysfs.folder.makeFolder("sys/" + folder)
        sysfs.folder.link("sys/\(list)/\(name)", to: up + folder)
    }

    /// A process that has a node open. /dev/null is 1:3, /dev/zero 1:5, /dev/full 1:7.
    func process(_ pid: Int32, _ command: String, opens nodes: String...) {
        write("proc/\(pid)/stat", "\(pid) (x) S 1" + String(repeating: " 0", count: 17) + " 9 0")
        write("proc/\(pid)/comm", command)
        for (number, node) in nodes.enumerated() { sysfs.folder.link("proc/\(pid)/fd/\(number)", to: node) }
    }

    @LoopActor func uses(_ devices: DeviceAddress...) async -> [DeviceUse] {
        await LinuxHost(root: sysfs.root, writable: true).uses(of: devices.isEmpty ? [device, twin] : devices)
    }

    /// A device with processes that have nodes open, for sources that are asked without a host.
    func subject(
        _ device: DeviceAddress, _ openers: (pid: Int32, command: String, nodes: [NodeNumber])...
    ) -> UseSubject {
        UseSubject(
            device: device, path: components(device),
            openers: openers.map { opener in
                OpenNodes.Holder(
                    process: ProcessIdentity(pid: opener.pid, startTime: 9), command: opener.command,
                    nodes: Set(opener.nodes), vfioDevices: [])
            })
    }
}
