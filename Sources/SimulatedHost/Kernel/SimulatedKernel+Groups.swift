// Kernel groups: viability, ownership, numbers, and what vfio makes of them in /dev.

import Inventory
import PCI

extension SimulatedKernel {
    /// A file below /dev.
    public enum Node: Hashable, Sendable {
        /// /dev/vfio/N of a kernel group.
        case group(Int)
        /// /dev/vfio/devices/vfioN.
        case cdev(Int)
    }

    /// What `dev` in sysfs and st_rdev of a node show, one for each time that something was made. A node that has
    /// another than sysfs is stale.
    public struct DeviceNumber: Hashable, Sendable {
        let value: Int
    }

    /// The nodes that are in /dev.
    public var nodesInDev: Set<Node> { Set(nodes.keys) }

    /// The device number of a node; nil without one.
    public func deviceNumber(of node: Node) -> DeviceNumber? { nodes[node]?.number }

    /// The device number that sysfs shows for what the node should lead to.
    public func sysfsDeviceNumber(of node: Node) -> DeviceNumber? {
        switch node {
        case .group(let number): groups[number]?.vfio
        case .cdev(let number):
            configuration.hasIOMMUFD ? devices.values.first { $0.vfio?.number == number }?.vfio?.deviceNumber : nil
        }
    }

    /// Lets devtmpfs and udev catch up: /dev then has what sysfs announces.
    public mutating func settle() {
        let before = nodes
        nodes = [:]
        func make(_ node: Node, _ number: DeviceNumber) {
            nodes[node] = before[node].flatMap { $0.number == number ? $0 : nil } ?? NodeInDev(number: number)
        }
        for (number, group) in groups { if let made = group.vfio { make(.group(number), made) } }
        guard configuration.hasIOMMUFD else { return }
        for case let vfio? in devices.values.map(\.vfio) { make(.cdev(vfio.number), vfio.deviceNumber) }
    }

    /// N of the device's vfio-dev/vfioN.
    public func vfioNumber(of address: DeviceAddress) -> Int? { devices[address]?.vfio?.number }

    /// The members of a kernel group, ascending.
    public func members(ofGroup number: Int) -> [DeviceAddress] {
        devices.values.filter { $0.device.kernelGroup == number }.map(\.device.address).sorted()
    }

    /// Whether the kernel refuses host drivers in the group.
    public func isOwned(_ number: Int) -> Bool { groups[number]?.owner != nil }

    /// Whether no member has a driver that may do DMA.
    public func isViable(_ number: Int) -> Bool {
        groups[number] != nil && !members(ofGroup: number).contains(where: blocksViability)
    }

    private func blocksViability(_ address: DeviceAddress) -> Bool {
        guard let state = devices[address], let name = state.driver else { return false }
        if !configuration.countsOwnership, state.device.isBridge { return false }
        return (driver(named: name)?.kind ?? .host) == .host
    }

    func owner(of device: Device) -> SimulatedGroup.Owner? {
        device.kernelGroup.flatMap { groups[$0]?.owner }
    }

    /// What follows a vfio driver's successful probe.
    mutating func bindVFIO(_ address: DeviceAddress) {
        guard let state = devices[address], state.vfio == nil, let name = state.driverLink,
            driver(named: name)?.kind == .vfio
        else { return }
        if let number = state.device.kernelGroup, groups[number]?.vfio == nil {
            let deviceNumber = DeviceNumber(value: nextNumber())
            groups[number]?.vfio = deviceNumber
            announce("add", "vfio", String(number), node: "vfio/\(number)")
        }
        let number = lowestFree(Set(devices.values.compactMap { $0.vfio?.number }))
        let deviceNumber = DeviceNumber(value: nextNumber())
        devices[address]?.vfio = VFIODevice(number: number, deviceNumber: deviceNumber)
        announce("add", "vfio-dev", "vfio\(number)", node: cdevNode(number))
    }

    /// What a vfio driver does when it lets go of a device, some before it has and some when it has.
    mutating func dropVFIODevice(_ address: DeviceAddress) {
        guard let vfio = devices[address]?.vfio else { return }
        devices[address]?.vfio = nil
        announce("remove", "vfio-dev", "vfio\(vfio.number)", node: cdevNode(vfio.number))
    }

    func cdevNode(_ number: Int) -> String? {
        configuration.hasIOMMUFD ? "vfio/devices/vfio\(number)" : nil
    }

    /// Without a member on a vfio driver /dev/vfio/N goes, and with it what was owned through it.
    mutating func dropVFIOGroup(_ number: Int) {
        guard let group = groups[number], group.vfio != nil else { return }
        let isOnVFIO = members(ofGroup: number).contains { address in
            devices[address]?.driver.flatMap { driver(named: $0) }?.kind == .vfio
        }
        guard !isOnVFIO else { return }
        leaveContainer(number)
        groups[number]?.vfio = nil
        groups[number]?.opener = nil
        announce("remove", "vfio", String(number), node: "vfio/\(number)")
    }

    func lowestFree(_ taken: Set<Int>) -> Int {
        var number = 0
        while taken.contains(number) { number += 1 }
        return number
    }

    /// The number of the group of a partition; a new group where the partition has none now.
    mutating func groupNumber(forPartition partition: Int, like attributes: KernelGroup?) -> Int {
        if let number = groups.first(where: { $0.value.partition == partition })?.key { return number }
        let number = lowestFree(Set(groups.keys))
        var attributes = attributes ?? KernelGroup(number: number)
        attributes.number = number
        groups[number] = SimulatedGroup(attributes: attributes, partition: partition)
        return number
    }

    /// A partition that nothing belongs to.
    func freePartition() -> Int {
        let taken = groups.values.map(\.partition) + removed.values.compactMap(\.partition)
        return (taken.max() ?? -1) + 1
    }
}
