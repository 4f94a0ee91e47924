// The newer interface of vfio: a character device for each device, bound to an iommufd.

import Inventory
import PCI

extension SimulatedKernel {
    /// Opens /dev/iommu: ENOENT on a kernel without it.
    public mutating func openIOMMUFD() throws(Refusal) -> File {
        guard configuration.hasIOMMUFD else { throw .failed(.enoent) }
        return open(.iommufd)
    }

    /// Opens /dev/vfio/devices/vfioN as a user: ENOENT before the node is there, ENXIO where it is stale.
    public mutating func openCdev(_ number: Int, as uid: UInt32 = 0) throws(Refusal) -> File {
        guard let node = nodes[.cdev(number)] else { throw .failed(.enoent) }
        try checkAccess(to: node, by: uid)
        guard sysfsDeviceNumber(of: .cdev(number)) == node.number,
            let address = devices.first(where: { $0.value.vfio?.number == number })?.key
        else { throw .failed(.enxio) }
        try meetFault(.openCdev, [address])
        return open(.cdev(address, .opened))
    }

    private func cdev(_ file: File) throws(Refusal) -> (address: DeviceAddress, state: CdevState) {
        guard let kind = kind(file) else { throw .failed(.ebadf) }
        guard case .cdev(let address, let state) = kind else { throw .failed(.enotty) }
        return (address, state)
    }

    /// VFIO_DEVICE_BIND_IOMMUFD: from here on the group is owned.
    public mutating func bindIOMMUFD(_ file: File, _ iommufd: File) throws(Refusal) {
        let (address, state) = try cdev(file)
        guard case .iommufd? = kind(iommufd) else { throw .failed(.ebadf) }
        try meetFault(.bindIOMMUFD, [address])
        guard let device = devices[address], device.vfio != nil, let number = device.device.kernelGroup else {
            throw .failed(.enodev)
        }
        guard state == .opened, !isBound(address) else { throw .failed(.einval) }
        guard let group = groups[number], group.opener == nil else { throw .failed(.ebusy) }
        guard group.owner == nil || group.owner == .iommufd(iommufd), isViable(number) else { throw .failed(.eperm) }
        if let interrupts, !interrupts.isOn, interrupts.iommufdAllows != true { throw .failed(.eperm) }
        groups[number]?.owner = .iommufd(iommufd)
        files[file]?.kind = .cdev(address, .bound(to: iommufd, ioas: nil))
        files[iommufd]?.references += 1
    }

    private func isBound(_ address: DeviceAddress) -> Bool {
        files.values.contains { if case .cdev(address, .bound) = $0.kind { true } else { false } }
    }

    /// VFIO_DEVICE_ATTACH_IOMMUFD_PT to an address space, of which an iommufd has any number here: EINVAL before BIND, and
    /// while a member of the group is attached to another.
    public mutating func attach(_ file: File, to ioas: UInt32 = 1) throws(Refusal) {
        let address = try cdev(file).address
        let others = files.filter { other, state in
            guard other != file, case .cdev(let member, .bound(_, ioas: let used?)) = state.kind else { return false }
            return used != ioas && devices[member]?.device.kernelGroup == devices[address]?.device.kernelGroup
        }
        if !others.isEmpty { throw .failed(.einval) }
        try setAttached(file, ioas, .attach)
    }

    /// VFIO_DEVICE_DETACH_IOMMUFD_PT: the group stays owned.
    public mutating func detach(_ file: File) throws(Refusal) { try setAttached(file, nil, .detach) }

    private mutating func setAttached(_ file: File, _ ioas: UInt32?, _ step: SimulatedFault.Step) throws(Refusal) {
        let (address, state) = try cdev(file)
        try meetFault(step, [address])
        guard case .bound(let iommufd, _) = state else { throw .failed(.einval) }
        files[file]?.kind = .cdev(address, .bound(to: iommufd, ioas: ioas))
    }

    /// VFIO_DEVICE_GET_INFO of a cdev, which here tells only that it may be asked: EINVAL before BIND.
    public func getInfo(_ file: File) throws(Refusal) {
        guard case .bound = try cdev(file).state else { throw .failed(.einval) }
    }

    /// Whether a cdev is bound, which its GET_INFO tells.
    public func isBound(_ file: File) throws(Refusal) -> Bool {
        guard case .bound = try cdev(file).state else { return false }
        return true
    }

    /// What ends with the last copy of a bound cdev.
    mutating func disown(_ address: DeviceAddress, _ iommufd: File) {
        guard let number = devices[address]?.device.kernelGroup else { return }
        let remains = files.values.contains { other in
            guard case .cdev(let address, .bound(iommufd, _)) = other.kind else { return false }
            return devices[address]?.device.kernelGroup == number
        }
        if !remains { groups[number]?.owner = nil }
    }
}
