// What the daemon asks of the kernel and what may never return: each such call is made by a worker.

import Inventory

/// One call that changes the machine.
///
/// Files are those of the daemon; the worker gets copies of the ones its call names, and of no others.
public enum KernelCall: Sendable {
    /// Loads the module of a driver (`modprobe`). An override loads none.
    case loadModule(driver: String)
    /// Writes `driver_override`; nil writes "\n", which clears it. A write of no bytes would change nothing.
    case setDriverOverride(DeviceAddress, String?)
    /// Writes the device to its driver's `unbind`.
    case unbind(Clearance, from: String)
    /// Writes the device to its bus's `drivers_probe`, which succeeds though nothing was bound: read back.
    case probe(DeviceAddress)
    /// Writes `add` to the device's `uevent`: udev then treats it as new, and loads the modules that fit it.
    case announce(DeviceAddress)
    /// Writes 1 to `reset`.
    case reset(Clearance)
    /// Writes `sriov_numvfs`: as many virtual functions appear, and their drivers are probed.
    case setVirtualFunctions(Clearance, Int)
    case setPowerControl(DeviceAddress, PowerControl)
    case setD3coldAllowed(DeviceAddress, Bool)
    /// Opens a node, having checked that its st_rdev is the one that sysfs shows. Yields a file.
    case open(VFIONode)
    /// Sets who may open a node, found as for `open`. An access control list that it has is lost.
    case setPermissions(VFIONode, NodePermissions)
    /// VFIO_GROUP_SET_CONTAINER: the group is owned from here on.
    case setContainer(group: KernelFile, container: KernelFile)
    /// VFIO_SET_IOMMU, type 1 (on POWER sPAPR TCE).
    case setIOMMU(container: KernelFile)
    /// VFIO_GROUP_GET_DEVICE_FD, which resets the device. Yields a file.
    case getDevice(DeviceAddress, group: KernelFile)
    /// VFIO_DEVICE_BIND_IOMMUFD, which resets the device: the group is owned from here on.
    case bindIOMMUFD(cdev: KernelFile, iommufd: KernelFile)
    /// IOMMU_IOAS_ALLOC. Yields a number.
    case allocateIOAS(iommufd: KernelFile)
    /// VFIO_DEVICE_ATTACH_IOMMUFD_PT.
    case attach(cdev: KernelFile, ioas: UInt32)
    /// VFIO_DEVICE_DETACH_IOMMUFD_PT: the group stays owned.
    case detach(cdev: KernelFile)
    /// Whether a cdev is bound, which VFIO_DEVICE_GET_INFO tells. Yields a number, 0 for no.
    case isBound(cdev: KernelFile)
    /// Whether a group is in a container, which VFIO_GROUP_GET_STATUS tells. Yields a number, 0 for no.
    case hasContainer(group: KernelFile)
    /// VFIO_IOMMU_GET_INFO. Yields ranges.
    case containerRanges(KernelFile)
    /// IOMMU_IOAS_IOVA_RANGES. Yields ranges.
    case ioasRanges(iommufd: KernelFile, ioas: UInt32)
    /// Closes the daemon's copy of a file; should it be the last, the kernel resets the device.
    case close(KernelFile)
}

extension KernelCall {
    /// What it rests on; nil for a call that touches no device.
    public var clearance: Clearance? {
        switch self {
        case .unbind(let clearance, _), .reset(let clearance), .setVirtualFunctions(let clearance, _): clearance
        default: nil
        }
    }
}

/// A file of vfio or iommufd in /dev.
public enum VFIONode: Hashable, Sendable {
    /// /dev/vfio/N of a kernel group.
    case group(Int)
    /// /dev/vfio/vfio
    case container
    /// /dev/vfio/devices/vfioN of a device.
    case cdev(DeviceAddress)
    /// /dev/iommu
    case iommufd
}

/// What a call gives back.
public enum CallYield: Sendable {
    case nothing
    case file(KernelFile)
    case number(UInt32)
    /// I/O virtual addresses that may be mapped, both ends inclusive.
    case ranges([ClosedRange<UInt64>])
}

/// How a call ended.
public enum CallOutcome: Sendable {
    case done(CallYield)
    case failed(errno: Int32)
    /// The worker has ended and nobody knows how: it was a predecessor's, or was killed. The read-back tells.
    case unknown
}

/// A way to hand devices over.
public struct VFIOInterfaces: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// /dev/vfio/devices/vfioN and /dev/iommu.
    public static let cdev = VFIOInterfaces(rawValue: 1)
    /// /dev/vfio/N and /dev/vfio/vfio.
    public static let legacy = VFIOInterfaces(rawValue: 2)
}
