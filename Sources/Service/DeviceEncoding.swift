// The inventory's devices as the API shows them. A field that could not be read is absent and named under `unknown`.

import GroupAPI
import Grouping
import Inventory
import PCI
import Registry

extension Groups.Device {
    /// A device as it is now.
    init(_ device: Device, in snapshot: Snapshot) {
        let function = device.pci
        let ids = function?.identification
        let capabilities = function?.capabilities
        var unknown: [Groups.Unknown] = []
        func value<Value>(_ reading: Reading<Value>?, _ field: String) -> Value? {
            if case .unknown(let reason)? = reading { unknown.append(.init(field: field, reason: reason.explanation)) }
            return reading?.value
        }
        let driverOverride = value(device.driverOverride, "driverOverride")
        let header = value(capabilities?.header, "headerType")
        let express = value(capabilities?.express, "expressType")
        let acs = value(capabilities?.acs, "accessControl")
        let ari = value(capabilities?.ari, "alternativeRouting")
        let sriov = value(capabilities?.sriov, "singleRootVirtualization")
        self.init(
            address: .init(device.address), group: snapshot.group(of: device.address)?.id.text,
            reason: snapshot.reasonUngrouped(device.address), role: device.isBridge ? .bridge : .endpoint,
            state: .init(MemberState(of: device, kernel: snapshot.inventory.kernel)), driver: device.driver,
            driverOverride: driverOverride, hostBridge: function?.hostBridge.description,
            parent: function?.parent.map { .init(.pci($0)) }, vendorId: ids?.vendorID.map(Int.init),
            deviceId: ids?.deviceID.map(Int.init), subsystemVendorId: ids?.subsystemVendorID.map(Int.init),
            subsystemDeviceId: ids?.subsystemDeviceID.map(Int.init), revision: ids?.revision.map(Int.init),
            classCode: ids?.classCode.map { Int($0.rawValue) }, headerType: header.map { Int($0.type) },
            multifunction: header?.isMultifunction, expressType: express.map { .init($0.kind) },
            accessControl: acs.map { .init(capability: Int($0.capability), control: Int($0.control)) },
            alternativeRouting: capabilities.flatMap { $0.ari.isUnknown ? nil : ari != nil },
            alternativeRoutingForwarding: express?.ariForwardingEnabled,
            singleRootVirtualization: sriov.map {
                .init(enabled: $0.isEnabled, totalVirtualFunctions: Int($0.totalVFs))
            },
            virtualFunctions: function.flatMap { function in
                function.virtualFunctions.isEmpty ? nil : function.virtualFunctions.map { .init(.pci($0)) }
            },
            physicalFunction: function?.virtualFunction.map { .init(.pci($0.physicalFunction)) }, iommu: device.iommu,
            kernelGroup: device.kernelGroup, partitionableEndpoint: snapshot.endpoints[device.address],
            numaNode: device.numaNode, unknown: unknown.isEmpty ? nil : unknown)
    }
}

extension Groups.ExpressType {
    init(_ kind: PCIExpress.Kind?) {
        switch kind {
        case .endpoint: self = .endpoint
        case .legacyEndpoint: self = .legacyEndpoint
        case .rootPort: self = .rootPort
        case .upstreamPort: self = .upstreamPort
        case .downstreamPort: self = .downstreamPort
        case .pcieToPCIBridge: self = .pcieToPciBridge
        case .pciToPCIeBridge: self = .pciToPcieBridge
        case .rootComplexEndpoint: self = .rootComplexEndpoint
        case .rootComplexEventCollector: self = .rootComplexEventCollector
        case nil: self = .reserved
        }
    }
}
