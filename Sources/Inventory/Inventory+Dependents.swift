// Functions that exist only as long as the driver of another function wants them to: the virtual functions of a physical
// one, and the PCI domain behind an Intel VMD. An unbind of that other function takes them away, whoever uses them.

import PCI

extension Inventory {
    /// The functions that go when a function leaves its driver, and when it leaves the host; ascending.
    public func dependents(of address: DeviceAddress) -> [DeviceAddress] {
        guard let function = address.pci else { return [] }
        var found: Set<PCIAddress> = []
        var pending = [function]
        while let next = pending.popLast() {
            guard makesFunctions(next) else { continue }
            let bridges = Set(hostBridges.lazy.filter { $0.parent == next }.map(\.id))
            for device in devices {
                guard let address = device.address.pci, let candidate = device.pci,
                    candidate.virtualFunction?.physicalFunction == next || bridges.contains(candidate.hostBridge),
                    address != function, found.insert(address).inserted
                else { continue }
                pending.append(address)
            }
        }
        return found.sorted().map { .pci($0) }
    }

    private func makesFunctions(_ function: PCIAddress) -> Bool {
        self[.pci(function)]?.pci?.virtualFunctions.isEmpty == false || hostBridges.contains { $0.parent == function }
    }

    /// The function whose driver a function owes its existence to: its physical function, or the VMD that it sits behind.
    public func maker(of address: DeviceAddress) -> DeviceAddress? {
        guard let function = self[address]?.pci else { return nil }
        if let virtual = function.virtualFunction { return .pci(virtual.physicalFunction) }
        return hostBridges.first { $0.id == function.hostBridge }?.parent.map { .pci($0) }
    }
}
