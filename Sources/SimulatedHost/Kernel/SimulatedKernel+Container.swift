// The legacy interface of vfio: groups, containers, and device descriptors from groups.

import Inventory
import PCI

extension SimulatedKernel {
    /// VFIO_GROUP_GET_STATUS.
    public struct GroupStatus: OptionSet, Hashable, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// VFIO_GROUP_FLAGS_VIABLE
        public static let viable = GroupStatus(rawValue: 1)
        /// VFIO_GROUP_FLAGS_CONTAINER_SET
        public static let containerSet = GroupStatus(rawValue: 2)
    }

    /// Opens /dev/vfio/N as a user: ENOENT before the node is there, ENXIO where it is stale.
    public mutating func openGroup(_ number: Int, as uid: UInt32 = 0) throws(Refusal) -> File {
        guard let node = nodes[.group(number)] else { throw .failed(.enoent) }
        try checkAccess(to: node, by: uid)
        guard let group = groups[number], group.vfio == node.number else { throw .failed(.enxio) }
        try meetFault(.openGroup, members(ofGroup: number))
        if group.opener != nil { throw .failed(.ebusy) }
        if case .iommufd = group.owner { throw .failed(.ebusy) }
        let file = open(.group(number, node.number))
        groups[number]?.opener = file
        return file
    }

    /// Opens /dev/vfio/vfio.
    public mutating func openContainer() -> File { open(.container(hasIOMMU: false)) }

    /// The number of the group behind an open file; ENODEV once its last device was unbound.
    private func group(_ file: File) throws(Refusal) -> Int {
        guard let kind = kind(file) else { throw .failed(.ebadf) }
        guard case .group(let number, let deviceNumber) = kind else { throw .failed(.enotty) }
        guard groups[number]?.vfio == deviceNumber else { throw .failed(.enodev) }
        return number
    }

    private func container(ofGroup number: Int) -> File? {
        if case .container(let file)? = groups[number]?.owner { file } else { nil }
    }

    /// VFIO_GROUP_GET_STATUS: viable is a look at this moment, not a promise.
    public mutating func groupStatus(_ file: File) throws(Refusal) -> GroupStatus {
        let number = try group(file)
        try meetFault(.groupStatus, members(ofGroup: number))
        if container(ofGroup: number) != nil { return [.viable, .containerSet] }
        return isViable(number) ? .viable : []
    }

    /// VFIO_GROUP_SET_CONTAINER: from here on the group is owned.
    public mutating func setContainer(_ file: File, _ container: File) throws(Refusal) {
        let number = try group(file)
        guard case .container? = kind(container) else { throw .failed(.einval) }
        try meetFault(.setContainer, members(ofGroup: number))
        guard self.container(ofGroup: number) == nil else { throw .failed(.einval) }
        guard isViable(number) else { throw .failed(.eperm) }
        groups[number]?.owner = .container(container)
        files[container]?.references += 1
    }

    /// VFIO_GROUP_UNSET_CONTAINER: EBUSY while a device of the group is open.
    public mutating func unsetContainer(_ file: File) throws(Refusal) {
        let number = try group(file)
        try meetFault(.unsetContainer, members(ofGroup: number))
        guard container(ofGroup: number) != nil else { throw .failed(.einval) }
        let isInUse = files.values.contains { if case .device(_, file) = $0.kind { true } else { false } }
        if isInUse { throw .failed(.ebusy) }
        leaveContainer(number)
    }

    mutating func leaveContainer(_ number: Int) {
        guard let container = container(ofGroup: number) else { return }
        groups[number]?.owner = nil
        if groups(in: container).isEmpty, case .container? = files[container]?.kind {
            // The domain goes with its last group.
            files[container]?.kind = .container(hasIOMMU: false)
        }
        dropReference(container)
    }

    private func groups(in container: File) -> [Int] {
        groups.filter { $0.value.owner == .container(container) }.map(\.key).sorted()
    }

    /// VFIO_SET_IOMMU of type 1: EINVAL without a group.
    public mutating func setIOMMU(_ container: File) throws(Refusal) {
        guard case .container(let hasIOMMU)? = kind(container) else { throw .failed(.ebadf) }
        let groups = groups(in: container)
        try meetFault(.setIOMMU, groups.flatMap(members))
        guard !groups.isEmpty, !hasIOMMU else { throw .failed(.einval) }
        if let interrupts, !interrupts.isOn, interrupts.type1Allows != true { throw .failed(.eperm) }
        files[container]?.kind = .container(hasIOMMU: true)
    }

    /// VFIO_GROUP_GET_DEVICE_FD.
    public mutating func getDevice(_ file: File, _ address: DeviceAddress) throws(Refusal) -> File {
        let number = try group(file)
        try meetFault(.getDevice, [address])
        guard let container = container(ofGroup: number), case .container(hasIOMMU: true)? = files[container]?.kind
        else { throw .failed(.einval) }
        guard let state = devices[address], state.device.kernelGroup == number, state.vfio != nil else {
            throw .failed(.enodev)
        }
        files[file]?.references += 1
        return open(.device(address, group: file))
    }

    /// VFIO_DEVICE_RESET of a device descriptor or a bound cdev: EINVAL without a method.
    public mutating func resetDevice(_ file: File) throws(Refusal) {
        let address: DeviceAddress
        switch kind(file) {
        case .device(let found, _), .cdev(let found, .bound): address = found
        case nil: throw .failed(.ebadf)
        default: throw .failed(.einval)
        }
        try meetFault(.deviceReset, [address])
        switch devices[address]?.reset {
        case .works, .leavesDead, .ofBus: return
        case .fails(let errno): throw .failed(errno)
        case .absent: throw .failed(.einval)
        case nil: throw .failed(.enodev)
        }
    }

    /// The groups whose reserved regions bind a container with an IOMMU, or an iommufd with attached devices.
    private func groups(attachedTo file: File) -> [Int]? {
        switch kind(file) {
        case .container(hasIOMMU: true): return groups(in: file)
        case .iommufd:
            let attached = files.values.compactMap { other -> Int? in
                guard case .cdev(let address, .bound(file, ioas: .some)) = other.kind else { return nil }
                return devices[address]?.device.kernelGroup
            }
            return Set(attached).sorted()
        default: return nil
        }
    }

    /// The I/O virtual addresses that may be mapped: VFIO_IOMMU_GET_INFO or IOMMU_IOAS_IOVA_RANGES.
    public func iovaRanges(_ file: File) throws(Refusal) -> [ClosedRange<UInt64>] {
        guard let groups = groups(attachedTo: file) else { throw .failed(.einval) }
        let reserved = groups.flatMap { self.groups[$0]?.attributes.reservedRegions ?? [] }
            // Type 1 and iommufd let these be mapped over (vfio_iommu_resv_exclude, iopt_table_enforce_dev_resv_regions).
            .filter { $0.kind != .directRelaxable }.sorted { $0.start < $1.start }
        var ranges: [ClosedRange<UInt64>] = []
        var next: UInt64 = 0
        let last = configuration.lastIOVA
        for region in reserved where region.start <= last && region.last >= next {
            if region.start > next { ranges.append(next...(region.start - 1)) }
            guard region.last < last else { return ranges }
            next = region.last + 1
        }
        return ranges + [next...last]
    }

    /// Maps memory: EINVAL where a part of it lies in no range.
    public func map(_ file: File, _ addresses: ClosedRange<UInt64>) throws(Refusal) {
        let isUsable = try iovaRanges(file).contains {
            $0.contains(addresses.lowerBound) && $0.contains(addresses.upperBound)
        }
        guard isUsable else { throw .failed(.einval) }
    }
}
