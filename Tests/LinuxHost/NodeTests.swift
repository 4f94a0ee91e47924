// Opening nodes of vfio and iommufd. Nodes that every Linux has stand in for them.

import EventLoop
import Foundation
import Host
import Inventory
import PCI
import Testing
import TestSupport

@testable import LinuxHost

@Suite("Opening nodes", .timeLimit(.minutes(15)))
struct NodeTests {
    let sysfs = SyntheticSysfs()
    let device: DeviceAddress

    init() throws {
        try EventLoop.main.runInBackground()
        device = .pci(try #require(PCIAddress("0000:00:01.0")))
        sysfs.add("0000:00:01.0", below: "pci0000:00")
    }

    @LoopActor private func host(patience: Duration = .milliseconds(20)) -> LinuxHost {
        let host = LinuxHost(root: sysfs.root, writable: true)
        host.nodePatience = patience
        return host
    }

    @Test("a node is opened when its number is the one that sysfs tells, and passed back")
    @LoopActor func opens() async throws {
        sysfs.folder.write("sys/class/vfio/7/dev", "1:5\n")
        sysfs.folder.link("dev/vfio/7", to: "/dev/zero")
        let file = try #require(try await host().make(.open(.group(7))).file)
        var bytes: [UInt8] = [1, 2]
        #expect(read(file.number, &bytes, 2) == 2)
        #expect(bytes == [0, 0])
        #expect(fcntl(file.number, F_GETFD) == FD_CLOEXEC)
    }

    @Test("a device's own node is found by its name in sysfs")
    @LoopActor func cdev() async throws {
        sysfs.folder.link("dev/vfio/devices/vfio3", to: "/dev/zero")
        #expect(try await host().make(.open(.cdev(device))).errno == ENOENT)
        sysfs.folder.write(sysfs.path(of: "0000:00:01.0") + "/vfio-dev/vfio3/dev", "1:5\n")
        #expect(try await host().make(.open(.cdev(device))).file?.isOpen == true)
    }

    @Test("a node that was left behind is not opened")
    @LoopActor func stale() async throws {
        sysfs.folder.write("sys/class/vfio/7/dev", "1:3\n")
        sysfs.folder.link("dev/vfio/7", to: "/dev/zero")
        #expect(try await host().make(.open(.group(7))).errno == ENXIO)
        sysfs.folder.remove("dev/vfio/7")
        sysfs.folder.write("dev/vfio/7", "a file\n")
        #expect(try await host().make(.open(.group(7))).errno == ENXIO)
        sysfs.folder.remove("dev/vfio/7")
        #expect(try await host().make(.open(.group(7))).errno == ENOENT)
        sysfs.folder.write("sys/class/vfio/7/dev", "nonsense\n")
        #expect(try await host().make(.open(.group(7))).errno == EINVAL)
    }

    @Test("a node that appears late is waited for")
    @LoopActor func late() async throws {
        sysfs.folder.write("sys/class/misc/iommu/dev", "1:5\n")
        let worker = try host(patience: .seconds(3600)).prepare(.open(.iommufd))
        worker.go()
        let result = EventLoop.main.spawn { try? await worker.outcome() }
        try await EventLoop.main.sleep(for: .milliseconds(1))
        #expect(ProcessIdentity(of: worker.id.pid) == worker.id)
        sysfs.folder.link("dev/iommu", to: "/dev/zero")
        #expect(await result.value?.file?.isOpen == true)
    }

    @Test("a node whose module is not there is no node")
    @LoopActor func notLoaded() async throws {
        #expect(try await host(patience: .seconds(60)).make(.open(.container)).errno == ENOENT)
        sysfs.folder.link("dev/vfio/vfio", to: "/dev/zero")
        #expect(try await host(patience: .seconds(60)).make(.open(.container)).errno == ENOENT)
    }

    @Test("a node is given to a user and back, and its number must be right")
    @LoopActor func permissions() async throws {
        sysfs.folder.write("sys/class/vfio/7/dev", "1:5\n")
        sysfs.folder.write("dev/vfio/there", "")
        let path = sysfs.root + "/dev/vfio/7"
        guard mknod(path, S_IFCHR | 0o660, 1 << 8 | 5) == 0 else {
            print("skipped: a node cannot be made here (\(String(cString: strerror(errno))))")
            return
        }
        chmod(path, 0o660)
        let host = host()
        let before = NodePermissions(uid: geteuid(), gid: getegid(), mode: 0o660)
        #expect(try host.nodeStatus(of: .group(7)) == NodeStatus(path: path, permissions: before))
        let users = NodePermissions(uid: 65_534, gid: getegid(), mode: 0o600)
        #expect(try await host.make(.setPermissions(.group(7), users)).errno == nil)
        #expect(try host.nodeStatus(of: .group(7))?.permissions == users)
        #expect(try await host.make(.setPermissions(.group(7), before)).errno == nil)
        #expect(try host.nodeStatus(of: .group(7))?.permissions == before)
        // It leads to another device now.
        sysfs.folder.write("sys/class/vfio/7/dev", "1:3\n")
        #expect(try host.nodeStatus(of: .group(7)) == nil)
        #expect(try await host.make(.setPermissions(.group(7), users)).errno == ENXIO)
        #expect(try await host.make(.setPermissions(.group(8), users)).errno == ENOENT)
    }

    @Test("an ioctl reaches the file, and its error comes back")
    @LoopActor func ioctls() async throws {
        let zero = KernelFile(owning: open("/dev/zero", O_RDWR | O_CLOEXEC))
        let gone = KernelFile(owning: -1)
        let calls: [KernelCall] = [
            .setContainer(group: zero, container: zero), .setIOMMU(container: zero), .getDevice(device, group: zero),
            .bindIOMMUFD(cdev: zero, iommufd: zero), .allocateIOAS(iommufd: zero), .attach(cdev: zero, ioas: 1),
            .detach(cdev: zero), .containerRanges(zero), .ioasRanges(iommufd: zero, ioas: 1),
        ]
        for call in calls { #expect(try await host().make(call).errno == ENOTTY, "\(call)") }
        #expect(try await host().make(.setIOMMU(container: gone)).errno == EBADF)
        #expect(try await host().make(.bindIOMMUFD(cdev: zero, iommufd: gone)).errno == EBADF)
        #expect(zero.isOpen)
    }
}
