// Virtual functions: how a physical function makes them and takes them away.

import Inventory
import PCI

extension SimulatedKernel {
    func virtualFunctions(of address: DeviceAddress) -> [DeviceAddress] {
        guard let physical = address.pci else { return [] }
        return devices.values.filter { $0.device.pci?.virtualFunction?.physicalFunction == physical }
            .map(\.device.address).sorted()
    }

    /// sriov_numvfs_store.
    func stepsToSetVFs(of address: PCIAddress, to count: Int) -> Result<[WorkStep], KernelErrno> {
        guard let state = devices[.pci(address)], let capability = state.device.pci?.capabilities.sriov.value else {
            return .failure(.enoent)
        }
        guard (0...Int(capability.totalVFs)).contains(count) else { return .failure(.erange) }
        let existing = virtualFunctions(of: .pci(address))
        if count == existing.count { return .success([]) }
        // pcieport and vfio-pci have no sriov_configure (vfio-pci not without its parameter enable_sriov).
        guard let driver = state.driverLink.flatMap(driver), driver.kind == .host else { return .failure(.enoent) }
        if count == 0 {
            let steps = stepsToRemove(existing, remembering: false, byPhysicalFunction: true)
            return .success(steps + [.recordVFs(address)])
        }
        guard existing.isEmpty else { return .failure(.ebusy) }
        return .success([.createVFs(address, count), .recordVFs(address)])
    }

    /// The functions that go with a function's driver, whether sysfs still shows that or not.
    func functionsMade(by address: DeviceAddress) -> [DeviceAddress] {
        virtualFunctions(of: address) + domain(of: address).flatMap(subtree)
    }

    /// pci_iov_remove_virtfn: the links go before the driver is asked.
    mutating func unlinkVF(_ address: DeviceAddress) {
        devices[address]?.isUnlinked = true
        if let physical = devices[address]?.device.pci?.virtualFunction?.physicalFunction { recordVFs(of: physical) }
    }

    mutating func createVFs(of address: PCIAddress, _ count: Int) {
        guard let physical = devices[.pci(address)], let function = physical.device.pci,
            let capability = function.capabilities.sriov.value
        else { return }
        let attributes = physical.device.kernelGroup.flatMap { groups[$0]?.attributes }
        for index in 0..<count {
            let routingID =
                Int(address.bus) << 8 + Int(address.devfn) + Int(capability.firstVFOffset) + index
                * Int(capability.vfStride)
            let virtual = PCIAddress(
                domain: address.domain, bus: UInt8(truncatingIfNeeded: routingID >> 8),
                device: UInt8(truncatingIfNeeded: routingID >> 3), function: UInt8(truncatingIfNeeded: routingID))
            guard devices[.pci(virtual)] == nil else { continue }
            var state = SimulatedDevice(
                Device(
                    address: .pci(virtual), kind: .pci(function.virtualFunction(index, of: address, capability)),
                    iommu: physical.device.iommu, numaNode: physical.device.numaNode))
            state.partition = physical.partition.map { _ in physical.virtualPartitions[index] ?? freePartition() }
            appear(state, like: attributes)
        }
    }

    /// What the physical function shows of its virtual ones.
    mutating func recordVFs(of address: PCIAddress) {
        guard var function = devices[.pci(address)]?.device.pci else { return }
        let virtual = virtualFunctions(of: .pci(address))
        function.virtualFunctions = virtual.filter { devices[$0]?.isUnlinked == false }.compactMap(\.pci)
        if case .present(var capability) = function.capabilities.sriov {
            capability.isEnabled = !virtual.isEmpty
            capability.numberOfVFs = UInt16(truncatingIfNeeded: virtual.count)
            function.capabilities.sriov = .present(capability)
        }
        devices[.pci(address)]?.device.kind = .pci(function)
    }
}

extension PCIFunction {
    /// One of its virtual functions, new: of its vendor and class, without capabilities of its own.
    fileprivate func virtualFunction(_ index: Int, of address: PCIAddress, _ capability: SingleRootIOV) -> PCIFunction {
        var identification = identification
        identification.deviceID = capability.vfDeviceID
        return PCIFunction(
            hostBridge: hostBridge, parent: parent, identification: identification,
            capabilities: FunctionCapabilities(
                header: .present(Header(layout: .endpoint, isMultifunction: false)),
                express: capabilities.express.map { _ in
                    PCIExpress(kind: .endpoint, ariForwardingSupported: false, ariForwardingEnabled: false)
                },
                acs: .absent, ari: .absent, sriov: .absent),
            virtualFunction: VirtualFunction(physicalFunction: address, index: index), isBridge: false)
    }
}
