// The PCI Express capability (ID 0x10): what kind of port or device a function is, and whether it forwards ARI.
// PCI Express Base Specification section 7.5.3.

/// What of the PCI Express capability decides about groups.
public struct PCIExpress: Equatable, Sendable {
    /// Device/Port Type, bits 7:4 of the PCI Express Capabilities register.
    public enum Kind: UInt8, Sendable, CaseIterable {
        case endpoint = 0
        case legacyEndpoint = 1
        case rootPort = 4
        case upstreamPort = 5
        case downstreamPort = 6
        /// A PCIe-to-PCI/PCI-X bridge: everything behind it uses its requester ID.
        case pcieToPCIBridge = 7
        case pciToPCIeBridge = 8
        case rootComplexEndpoint = 9
        case rootComplexEventCollector = 10
    }

    /// The kind; nil for a value that the specification reserves.
    public var kind: Kind?
    /// ARI Forwarding Supported (Device Capabilities 2, bit 5); nil where the register was not readable.
    public var ariForwardingSupported: Bool?
    /// ARI Forwarding Enable (Device Control 2, bit 5); nil where the register was not readable.
    public var ariForwardingEnabled: Bool?

    public init(kind: Kind?, ariForwardingSupported: Bool?, ariForwardingEnabled: Bool?) {
        self.kind = kind
        self.ariForwardingSupported = ariForwardingSupported
        self.ariForwardingEnabled = ariForwardingEnabled
    }
}

/// The Access Control Services extended capability (ID 0x0d), PCI Express Base Specification section 7.7.11.
public struct AccessControlServices: Equatable, Sendable {
    /// The capability register: which services the function offers.
    public var capability: UInt16
    /// The control register: which are switched on.
    public var control: UInt16

    public init(capability: UInt16, control: UInt16) {
        self.capability = capability
        self.control = control
    }
}

/// The Alternative Routing-ID extended capability (ID 0x0e), PCI Express Base Specification section 7.8.8.
public struct AlternativeRoutingID: Equatable, Sendable {
    /// The capability register at +4.
    public var capability: UInt16

    public init(capability: UInt16) { self.capability = capability }
}

/// The Single Root I/O Virtualization extended capability (ID 0x10) of a physical function, SR-IOV 1.1 section 3.3.
public struct SingleRootIOV: Equatable, Sendable {
    /// VF Enable, bit 0 of the control register.
    public var isEnabled: Bool
    /// ARI Capable Hierarchy, bit 4 of the control register.
    public var ariCapableHierarchy: Bool
    /// How many VFs the device can have.
    public var totalVFs: UInt16
    /// How many VFs it was told to have.
    public var numberOfVFs: UInt16
    /// Distance of the first VF's routing ID from the PF's.
    public var firstVFOffset: UInt16
    /// Distance of the routing IDs of consecutive VFs.
    public var vfStride: UInt16
    /// The device ID that all VFs share.
    public var vfDeviceID: UInt16

    public init(
        isEnabled: Bool, ariCapableHierarchy: Bool, totalVFs: UInt16, numberOfVFs: UInt16, firstVFOffset: UInt16,
        vfStride: UInt16, vfDeviceID: UInt16
    ) {
        self.isEnabled = isEnabled
        self.ariCapableHierarchy = ariCapableHierarchy
        self.totalVFs = totalVFs
        self.numberOfVFs = numberOfVFs
        self.firstVFOffset = firstVFOffset
        self.vfStride = vfStride
        self.vfDeviceID = vfDeviceID
    }
}
