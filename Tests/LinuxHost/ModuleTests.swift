// What the files of depmod and of the kernel's build tell: variant drivers, and interfaces that are not loaded yet.

import EventLoop
import Host
import Inventory
import PCI
import Testing
import TestSupport

@testable import LinuxHost

@Suite("Modules", .timeLimit(.minutes(15)))
struct ModuleTests {
    let sysfs = SyntheticSysfs()
    let device: DeviceAddress

    init() throws {
        try EventLoop.main.runInBackground()
        device = .pci(try #require(PCIAddress("0000:00:01.0")))
        sysfs.add("0000:00:01.0", below: "pci0000:00")
        sysfs.folder.write("proc/sys/kernel/osrelease", "6.12.95\n")
        sysfs.folder.write(
            sysfs.path(of: "0000:00:01.0") + "/modalias", "pci:v000015B3d0000101Esv000015B3sd00000001bc02sc00i00\n")
    }

    @LoopActor private func host() -> LinuxHost { LinuxHost(root: sysfs.root, writable: true) }

    @Test("the driver made for a device is the one whose alias says most")
    @LoopActor func variant() async throws {
        let host = host()
        #expect(await host.variantDriver(of: device) == nil)
        sysfs.folder.write(
            "lib/modules/6.12.95/modules.alias",
            """
            # Aliases extracted from modules themselves.
            alias pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_core
            alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci
            alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_vfio_pci
            alias vfio_pci:v00008086d*sv*sd*bc*sc*i* other_vfio_pci

            """)
        // The file was read before, and is another now.
        #expect(await host.variantDriver(of: device) == "mlx5_vfio_pci")
        sysfs.folder.makeFolder("sys/module/mlx5_vfio_pci/drivers/pci:mlx5-vfio")
        #expect(await host.variantDriver(of: device) == "mlx5-vfio")
        sysfs.folder.write(
            sysfs.path(of: "0000:00:01.0") + "/modalias", "pci:v000010DEd0000101Esv000015B3sd00000001bc02sc00i00\n")
        #expect(await host.variantDriver(of: device) == nil)
        sysfs.folder.write(
            "lib/modules/6.12.95/modules.builtin.modinfo",
            "ext4.license=GPL\0nvgrace.file=x\0nvgrace.alias=vfio_pci:v000010DEd*sv*sd*bc*sc*i*\0")
        #expect(await host.variantDriver(of: device) == "nvgrace")
    }

    @Test("what vfio offers is told by its device numbers and its nodes")
    @LoopActor func interfaces() async throws {
        let host = host()
        #expect(await host.vfioInterfaces() == [])
        let devices = "Character devices:\n  1 mem\n511 vfio-dev\n241 vfio\n\nBlock devices:\n  8 sd\n"
        sysfs.folder.write("proc/devices", devices)
        #expect(await host.vfioInterfaces() == [])
        sysfs.folder.write("dev/vfio/vfio", "")
        #expect(await host.vfioInterfaces() == .legacy)
        sysfs.folder.write("dev/iommu", "")
        #expect(await host.vfioInterfaces() == [.legacy, .cdev])
        sysfs.folder.write("proc/devices", "Character devices:\n  1 mem\n241 vfio\n\nBlock devices:\n241 vfio-dev\n")
        #expect(await host.vfioInterfaces() == .legacy)
    }

    @Test("what modprobe could load counts")
    @LoopActor func loadable() async throws {
        let host = host()
        sysfs.folder.write("proc/devices", "Character devices:\n  1 mem\n")
        sysfs.folder.write(
            "lib/modules/6.12.95/modules.dep",
            "kernel/drivers/vfio/vfio.ko.xz:\nkernel/drivers/vfio/vfio_iommu_type1.ko.xz: kernel/drivers/vfio/vfio.ko.xz\n"
        )
        #expect(await host.vfioInterfaces() == .legacy)
        sysfs.folder.write("lib/modules/6.12.95/modules.builtin", "kernel/drivers/iommu/iommufd/iommufd.ko\n")
        #expect(await host.vfioInterfaces() == [.legacy, .cdev])
        // iommufd can be there without the devices' nodes.
        sysfs.folder.write("boot/config-6.12.95", "CONFIG_IOMMUFD=y\n# CONFIG_VFIO_DEVICE_CDEV is not set\n")
        #expect(await host.vfioInterfaces() == .legacy)
        sysfs.folder.write("boot/config-6.12.95", "CONFIG_VFIO_DEVICE_CDEV=y\n")
        #expect(await host.vfioInterfaces() == [.legacy, .cdev])
        sysfs.folder.remove("boot")
        sysfs.folder.write("proc/sys/kernel/osrelease", "6.1.0\n")
        #expect(await host.vfioInterfaces() == [])
    }
}
