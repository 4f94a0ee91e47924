// Devices that come and go.

import Host
import Inventory
import PCI

extension SimulatedKernel {
    /// The group that a plugged device comes into.
    public enum Place: Equatable, Sendable {
        /// Beside the members of this kernel group, which cannot be isolated from it.
        case group(Int)
        /// Behind an empty port.
        case newGroup
        /// Where no IOMMU translates.
        case noGroup
    }

    /// Plugs a device in; its `driver` is the one that a probe finds. EINVAL where something has its address, ENODEV
    /// where the place does not exist.
    public mutating func plug(_ device: Device, into place: Place) throws(KernelErrno) {
        guard devices[device.address] == nil else { throw .einval }
        var state = SimulatedDevice(device)
        state.device.driver = nil
        state.device.driverOverride = .absent
        switch place {
        case .group(let number):
            guard let group = groups[number] else { throw .enodev }
            state.partition = group.partition
        case .newGroup: state.partition = freePartition()
        case .noGroup: state.partition = nil
        }
        if let driver = device.driver, self.driver(named: driver)?.matches(device) != true {
            // A module that is not loaded stays so, and comes with loadModule.
            let isLoaded = self.driver(named: driver)?.isLoaded ?? true
            register(KernelDriver(driver, matches: [.address(device.address)], isLoaded: isLoaded))
        }
        removed[device.address] = nil
        appear(state, like: nil)
    }

    /// Pulls a device out, with all behind it: as `remove`, but a rescan does not find it again.
    public mutating func unplug(_ address: DeviceAddress) -> Outcome {
        let doomed = subtree(of: address)
        guard !doomed.isEmpty else { return .failed(.enodev) }
        let locks = locks(for: .remove(address))
        let steps = stepsToRemove(doomed, remembering: false)
        if locks.contains(where: isLocked) {
            // Nobody takes the slot's hardware back: the work begins when the locks are free.
            return .blocked(park(nil, until: .locks(locks), then: steps))
        }
        return work(steps, nil, locks)
    }

    /// A device becomes known: `add`, then whatever driver takes it.
    mutating func appear(_ state: SimulatedDevice, like attributes: KernelGroup?) {
        var state = state
        let address = state.device.address
        state.device.kernelGroup = state.partition.map { groupNumber(forPartition: $0, like: attributes) }
        devices[address] = state
        if let physical = state.device.pci?.virtualFunction?.physicalFunction { recordVFs(of: physical) }
        announce("add", address.bus, address.name)
        guard autoprobes || !configuration.honoursAutoprobeOnHotplug else { return }
        if case .refused(.ebusy)? = attach(address) {
            log.append("\(address.bus) \(address.name): device attach failed (-16)")
        }
    }

    /// The device, all that is behind it, and their virtual functions, in the order in which they are taken away.
    func subtree(of address: DeviceAddress) -> [DeviceAddress] {
        guard devices[address] != nil else { return [] }
        let children = devices.values.filter { state in
            guard let function = state.device.pci, let parent = address.pci else { return false }
            if let virtual = function.virtualFunction { return virtual.physicalFunction == parent }
            return function.parent == parent
        }.map(\.device.address)
        return (children + domain(of: address)).sorted().reversed().flatMap(subtree) + [address]
    }

    func stepsToRemove(
        _ addresses: [DeviceAddress], remembering: Bool, byPhysicalFunction: Bool = false
    ) -> [WorkStep] {
        addresses.flatMap { address -> [WorkStep] in
            // A virtual function is made anew by its physical function, never found.
            let physical = devices[address]?.device.pci?.virtualFunction?.physicalFunction
            let isVirtual = physical != nil
            let isUnlinked = byPhysicalFunction || physical.map { addresses.contains(.pci($0)) } ?? false
            var erasing = WorkStep.erase(address, remembering: remembering && !isVirtual)
            if remembering, !isVirtual, let vmd = vmd(of: address), addresses.contains(vmd) {
                erasing = .eraseInDomain(address, of: vmd)
            }
            return (isVirtual && isUnlinked ? [.unlinkVF(address)] : [])
                + [.detach(address), .awaitHolders(address), .finishDetach(address), erasing]
        }
    }

    mutating func erase(_ address: DeviceAddress, remembering: Bool) {
        if let state = takeAway(address), remembering { removed[address] = state }
    }

    /// Takes a device out of the host; what is found when it is looked for again.
    mutating func takeAway(_ address: DeviceAddress) -> SimulatedDevice? {
        guard var state = devices.removeValue(forKey: address) else { return nil }
        announce("remove", address.bus, address.name)
        if let virtual = state.device.pci?.virtualFunction {
            recordVFs(of: virtual.physicalFunction)
            devices[.pci(virtual.physicalFunction)]?.virtualPartitions[virtual.index] = state.partition
        }
        if let number = state.device.kernelGroup {
            state.groupAttributes = groups[number]?.attributes
            if members(ofGroup: number).isEmpty { groups[number] = nil }
        }
        state.device.driverOverride = .absent
        state.wasTaken = false
        state.powerControl = .on
        state.allowsD3cold = true
        return state
    }

    /// Finds what was removed, bridges before what is behind them.
    mutating func rescan() {
        let found = removed.sorted { $0.key < $1.key }
        removed = [:]
        makeKnown(found.map(\.value))
    }

    /// Devices become known, bridges before what is behind them; what is behind none that is known waits for a rescan.
    mutating func makeKnown(_ found: [SimulatedDevice]) {
        var waiting = found
        while let index = waiting.firstIndex(where: { state in
            guard let parent = state.device.pci?.parent else { return true }
            return devices[.pci(parent)] != nil
        }) {
            let state = waiting.remove(at: index)
            appear(state, like: state.groupAttributes)
        }
        for state in waiting { removed[state.device.address] = state }
    }
}
