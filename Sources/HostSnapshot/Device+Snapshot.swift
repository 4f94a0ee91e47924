// Devices as parts of snapshots and back. What is unknown stays unknown, with its reason.

import GroupAPI
import Host
import Inventory
import PCI
import Varlink

/// The fields of a device that may be unknown, by their names in a snapshot.
private enum Field: String {
    case driverOverride, header, express, accessControl, invalidBusNumberCheck, alternativeRouting,
        singleRootVirtualization
}

extension Manager.SnapshotDevice {
    init(_ device: Device, serialNumber: String? = nil) {
        var unknown: [Manager.Unknown] = []
        func note<Value>(_ field: Field, _ reading: Reading<Value>) {
            guard case .unknown(let reason) = reading else { return }
            unknown.append(.init(field: field.rawValue, reason: .init(reason)))
        }
        note(.driverOverride, device.driverOverride)
        if let capabilities = device.pci?.capabilities {
            note(.header, capabilities.header)
            note(.express, capabilities.express)
            note(.accessControl, capabilities.acs)
            note(.invalidBusNumberCheck, capabilities.invalidBusNumberCheck)
            note(.alternativeRouting, capabilities.ari)
            note(.singleRootVirtualization, capabilities.sriov)
        }
        self.init(
            address: .init(device.address), driver: device.driver,
            driverOverride: device.driverOverride.value, iommu: device.iommu, kernelGroup: device.kernelGroup,
            numaNode: device.numaNode,
            function: device.pci.map { Manager.Function($0, serialNumber: serialNumber) },
            unknown: unknown.isEmpty ? nil : unknown)
    }
}

extension Manager.Function {
    init(_ function: PCIFunction, serialNumber: String?) {
        let ids = function.identification
        let capabilities = function.capabilities
        self.init(
            hostBridge: function.hostBridge.description, parent: function.parent?.description,
            bridge: function.isBridge, vendorId: ids.vendorID.map(Int.init), deviceId: ids.deviceID.map(Int.init),
            subsystemVendorId: ids.subsystemVendorID.map(Int.init),
            subsystemDeviceId: ids.subsystemDeviceID.map(Int.init), revision: ids.revision.map(Int.init),
            classCode: ids.classCode.map { Int($0.rawValue) },
            header: capabilities.header.value.map(Manager.Header.init),
            express: capabilities.express.value.map {
                .init(
                    type: $0.kind.map { Int($0.rawValue) }, ariForwardingSupported: $0.ariForwardingSupported,
                    ariForwardingEnabled: $0.ariForwardingEnabled)
            },
            accessControl: capabilities.acs.value.map {
                .init(capability: Int($0.capability), control: Int($0.control))
            },
            invalidBusNumberCheck: capabilities.invalidBusNumberCheck.value,
            alternativeRouting: capabilities.ari.value.map { Int($0.capability) },
            singleRootVirtualization: capabilities.sriov.value.map(Manager.SingleRootVirtualization.init),
            physicalFunction: function.virtualFunction?.physicalFunction.description,
            virtualFunctionNumber: function.virtualFunction?.index,
            virtualFunctions: function.virtualFunctions.isEmpty ? nil : function.virtualFunctions.map(\.description),
            partitionableEndpoint: function.partitionableEndpoint,
            resources: function.resources?.map(Manager.Resource.init), windowNode: function.windowNode,
            serialNumber: serialNumber)
    }
}

extension Manager.Header {
    init(_ header: Header) {
        let buses: Manager.BusNumbers? =
            switch header.layout {
            case .endpoint: nil
            case .bridge(let primary, let secondary, let subordinate),
                .cardBus(let primary, let secondary, let subordinate):
                .init(primary: Int(primary), secondary: Int(secondary), subordinate: Int(subordinate))
            }
        self.init(type: Int(header.type), multifunction: header.isMultifunction, buses: buses)
    }
}

extension Manager.SingleRootVirtualization {
    init(_ sriov: SingleRootIOV) {
        self.init(
            enabled: sriov.isEnabled, ariCapableHierarchy: sriov.ariCapableHierarchy,
            totalFunctions: Int(sriov.totalVFs), numberOfFunctions: Int(sriov.numberOfVFs),
            firstOffset: Int(sriov.firstVFOffset), stride: Int(sriov.vfStride), deviceId: Int(sriov.vfDeviceID))
    }
}

extension Manager.UnknownReason {
    init(_ reason: UnknownReason) { self = Self(rawValue: reason.rawValue) ?? .unreadable }
}

extension Device {
    init(_ device: Manager.SnapshotDevice) throws(HostError) {
        let address = try DeviceAddress(device.address)
        let unknown = Dictionary(
            (device.unknown ?? []).map { ($0.field, UnknownReason(rawValue: $0.reason.rawValue) ?? .unreadable) },
            uniquingKeysWith: { first, _ in first })
        var kind = Kind.other
        switch (address, device.function) {
        case (.pci, let function?): kind = .pci(try PCIFunction(function, unknown: unknown))
        case (.pci, nil): throw .badSnapshot(reason: "the PCI device \(address) has no function")
        case (.other, _): break
        }
        self.init(
            address: address, kind: kind, driver: device.driver,
            driverOverride: Reading(device.driverOverride, .driverOverride, unknown), iommu: device.iommu,
            kernelGroup: device.kernelGroup, numaNode: device.numaNode)
    }
}

extension Reading {
    fileprivate init(_ value: Value?, _ field: Field, _ unknown: [String: UnknownReason]) {
        if let value {
            self = .present(value)
        } else if let reason = unknown[field.rawValue] {
            self = .unknown(reason)
        } else {
            self = .absent
        }
    }
}

extension PCIFunction {
    fileprivate init(_ function: Manager.Function, unknown: [String: UnknownReason]) throws(HostError) {
        let header = try function.header.mapThrowing { (header) throws(HostError) in try Header(header) }
        let express = try function.express.mapThrowing { (express) throws(HostError) in
            PCIExpress(
                kind: try express.type.mapThrowing { (type) throws(HostError) in try number(type, UInt8.self, "type") }
                    .flatMap(PCIExpress.Kind.init(rawValue:)),
                ariForwardingSupported: express.ariForwardingSupported,
                ariForwardingEnabled: express.ariForwardingEnabled)
        }
        let acs = try function.accessControl.mapThrowing { (acs) throws(HostError) in
            AccessControlServices(
                capability: try number(acs.capability, UInt16.self, "accessControl"),
                control: try number(acs.control, UInt16.self, "accessControl"))
        }
        let ari = try function.alternativeRouting.mapThrowing { (ari) throws(HostError) in
            AlternativeRoutingID(capability: try number(ari, UInt16.self, "alternativeRouting"))
        }
        let sriov = try function.singleRootVirtualization.mapThrowing { (sriov) throws(HostError) in
            try SingleRootIOV(sriov)
        }
        var virtualFunctions: [PCIAddress] = []
        for address in function.virtualFunctions ?? [] { virtualFunctions.append(try pciAddress(address)) }
        self.init(
            hostBridge: try hostBridgeID(function.hostBridge),
            parent: try function.parent.mapThrowing { (text) throws(HostError) in try pciAddress(text) },
            identification: try Identification(function),
            capabilities: FunctionCapabilities(
                header: Reading<Header>(header, .header, unknown),
                express: Reading<PCIExpress>(express, .express, unknown),
                acs: Reading<AccessControlServices>(acs, .accessControl, unknown),
                invalidBusNumberCheck: Reading<Bool>(
                    function.invalidBusNumberCheck, .invalidBusNumberCheck, unknown),
                ari: Reading<AlternativeRoutingID>(ari, .alternativeRouting, unknown),
                sriov: Reading<SingleRootIOV>(sriov, .singleRootVirtualization, unknown)),
            virtualFunction: try function.physicalFunction.mapThrowing { (text) throws(HostError) in
                VirtualFunction(
                    physicalFunction: try pciAddress(text), index: max(0, function.virtualFunctionNumber ?? 0))
            },
            virtualFunctions: virtualFunctions, isBridge: function.bridge)
        partitionableEndpoint = function.partitionableEndpoint
        resources = try function.resources.mapThrowing { (list) throws(HostError) in
            var resources: [Resource] = []
            for resource in list { resources.append(try Resource(resource)) }
            return resources
        }
        windowNode = function.windowNode
    }
}

extension PCIFunction.Identification {
    fileprivate init(_ function: Manager.Function) throws(HostError) {
        func id(_ value: Int?, _ field: String) throws(HostError) -> UInt16? {
            try value.mapThrowing { (value) throws(HostError) in try number(value, UInt16.self, field) }
        }
        self.init(
            vendorID: try id(function.vendorId, "vendorId"), deviceID: try id(function.deviceId, "deviceId"),
            subsystemVendorID: try id(function.subsystemVendorId, "subsystemVendorId"),
            subsystemDeviceID: try id(function.subsystemDeviceId, "subsystemDeviceId"),
            revision: try function.revision.mapThrowing { (value) throws(HostError) in
                try number(value, UInt8.self, "revision")
            },
            classCode: try function.classCode.mapThrowing { (value) throws(HostError) in
                ClassCode(rawValue: try number(value, UInt32.self, "classCode"))
            })
    }
}

extension Header {
    fileprivate init(_ header: Manager.Header) throws(HostError) {
        let primary = try number(header.buses?.primary ?? 0, UInt8.self, "primary")
        let secondary = try number(header.buses?.secondary ?? 0, UInt8.self, "secondary")
        let subordinate = try number(header.buses?.subordinate ?? 0, UInt8.self, "subordinate")
        let layout: Layout
        switch header.type {
        case 0: layout = .endpoint
        case 1: layout = .bridge(primary: primary, secondary: secondary, subordinate: subordinate)
        case 2: layout = .cardBus(primary: primary, secondary: secondary, subordinate: subordinate)
        default: throw .badSnapshot(reason: "header type \(header.type) does not exist")
        }
        self.init(layout: layout, isMultifunction: header.multifunction)
    }
}

extension SingleRootIOV {
    fileprivate init(_ sriov: Manager.SingleRootVirtualization) throws(HostError) {
        self.init(
            isEnabled: sriov.enabled, ariCapableHierarchy: sriov.ariCapableHierarchy,
            totalVFs: try number(sriov.totalFunctions, UInt16.self, "totalFunctions"),
            numberOfVFs: try number(sriov.numberOfFunctions, UInt16.self, "numberOfFunctions"),
            firstVFOffset: try number(sriov.firstOffset, UInt16.self, "firstOffset"),
            vfStride: try number(sriov.stride, UInt16.self, "stride"),
            vfDeviceID: try number(sriov.deviceId, UInt16.self, "deviceId"))
    }
}

private func number<Number: FixedWidthInteger>(
    _ value: Int, _ type: Number.Type, _ field: String
) throws(HostError) -> Number {
    guard let number = Number(exactly: value) else {
        throw .badSnapshot(reason: "\(field) is \(value), which is out of range")
    }
    return number
}
