// What differs from kernel to kernel.

import Inventory

extension SimulatedKernel {
    /// The habits that depend on the release and on how the kernel was built.
    public struct Configuration: Equatable, Sendable {
        /// Since 5.19 drivers are asked whether they do DMA; before, vfio looked at their names.
        public var countsOwnership: Bool
        /// Whether `driver_override` waits for the device lock. Measured: yes on 6.1, no on 6.12; between them the
        /// worse is assumed.
        public var overrideTakesDeviceLock: Bool
        /// Whether vfio-dev/vfioN goes, and is announced to go, before vfio waits for who has the device open. Measured:
        /// no on 6.1, yes on 6.12; since 6.6, where cdevs came (drivers/vfio/vfio_main.c, vfio_unregister_group_dev).
        public var announcesUnbindFirst: Bool
        /// Whether drivers_autoprobe=0 keeps drivers from hot-added devices. Measured: no on 6.12, yes on 7.3.
        public var honoursAutoprobeOnHotplug: Bool
        /// CONFIG_IOMMUFD and CONFIG_VFIO_DEVICE_CDEV, which exist since 6.6. No Debian kernel has them.
        public var hasIOMMUFD: Bool
        /// The last I/O virtual address that the IOMMU translates: 39 bits, as QEMU's intel-iommu.
        public var lastIOVA: UInt64 = 0x7f_ffff_ffff

        /// The habits of a release; of an unknown one, those of 6.12 with iommufd.
        public init(_ release: KernelRelease? = nil) {
            let version = release.map { ($0.major, $0.minor) } ?? (6, 12)
            countsOwnership = version >= (5, 19)
            overrideTakesDeviceLock = version < (6, 12)
            announcesUnbindFirst = version >= (6, 6)
            honoursAutoprobeOnHotplug = version >= (7, 3)
            hasIOMMUFD = version >= (6, 6)
        }
    }
}
