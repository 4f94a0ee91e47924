// The PCI domain behind an Intel VMD: its driver makes it, and takes it away again with all that is in it.

import Inventory
import PCI

extension SimulatedKernel {
    /// The VMD that a function sits behind.
    func vmd(of address: DeviceAddress) -> DeviceAddress? {
        guard let bridge = devices[address]?.device.pci?.hostBridge else { return nil }
        return hostBridges.first { $0.id == bridge }?.parent.map { .pci($0) }
    }

    /// The functions on the root buses behind a VMD, ascending.
    func domain(of vmd: DeviceAddress) -> [DeviceAddress] {
        let bridges = Set(hostBridges.filter { vmd.pci != nil && $0.parent == vmd.pci }.map(\.id))
        guard !bridges.isEmpty else { return [] }
        return devices.values.filter { state in
            guard let function = state.device.pci, function.virtualFunction == nil else { return false }
            return function.parent == nil && bridges.contains(function.hostBridge)
        }.map(\.device.address).sorted()
    }

    /// Whether a host bridge is there: that of a VMD is only while a driver keeps its domain.
    func isOpen(_ bridge: HostBridge) -> Bool { bridge.parent.map { closedDomains[.pci($0)] == nil } ?? true }

    /// vmd_remove: the domain goes before the driver has let go.
    func stepsToCloseDomain(of vmd: DeviceAddress) -> [WorkStep] {
        let doomed = domain(of: vmd).reversed().flatMap(subtree)
        // Of those that are taken away the VMD is none.
        return stepsToRemove(doomed + [vmd], remembering: true).filter { !$0.isAbout(vmd) }
    }

    mutating func eraseInDomain(_ address: DeviceAddress, of vmd: DeviceAddress) {
        guard let state = takeAway(address) else { return }
        closedDomains[vmd, default: []].append(state)
        // What was removed from the domain before is in the hardware as well.
        for (other, before) in removed where before.device.pci?.hostBridge == state.device.pci?.hostBridge {
            removed[other] = nil
            closedDomains[vmd, default: []].append(before)
        }
    }

    /// vmd_enable_domain, in the probe of the driver.
    mutating func openDomain(of vmd: DeviceAddress) {
        guard let states = closedDomains.removeValue(forKey: vmd) else { return }
        makeKnown(states.sorted { $0.device.address < $1.device.address })
    }
}

extension SimulatedKernel.WorkStep {
    fileprivate func isAbout(_ device: DeviceAddress) -> Bool {
        switch self {
        case .detach(device), .awaitHolders(device), .finishDetach(device), .erase(device, _): true
        default: false
        }
    }
}
