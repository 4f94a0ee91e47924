// One device of the inventory, as the kernel showed it when it was read.

import PCI

/// A device of any bus that may be a member of a group.
public struct Device: Equatable, Sendable {
    /// What the device is on its bus.
    public enum Kind: Equatable, Sendable {
        /// A PCI function.
        case pci(PCIFunction)
        /// A device of another bus, known by its address alone.
        case other
    }

    private struct Fields: Equatable, Sendable {
        var address: DeviceAddress
        var kind: Kind
        var driver: String?
        var driverOverride: Reading<String>
        var iommu: String?
        var kernelGroup: Int?
        var numaNode: Int?
    }

    /// Fields behind a reference, so that the copies of a device (in its group, in the inventory before) share them.
    private indirect enum Box: Equatable, Sendable {
        case fields(Fields)
    }

    private var box: Box

    private var fields: Fields {
        get {
            switch box {
            case .fields(let fields): fields
            }
        }
        set { box = .fields(newValue) }
    }

    public init(
        address: DeviceAddress, kind: Kind, driver: String? = nil, driverOverride: Reading<String> = .absent,
        iommu: String? = nil, kernelGroup: Int? = nil, numaNode: Int? = nil
    ) {
        box = .fields(
            Fields(
                address: address, kind: kind, driver: driver, driverOverride: driverOverride, iommu: iommu,
                kernelGroup: kernelGroup, numaNode: numaNode))
    }

    /// Its address.
    public var address: DeviceAddress {
        get { fields.address }
        set { fields.address = newValue }
    }
    /// What it is.
    public var kind: Kind {
        get { fields.kind }
        set { fields.kind = newValue }
    }
    /// The driver it is bound to, as the `driver` link names it; nil when there is none.
    public var driver: String? {
        get { fields.driver }
        set { fields.driver = newValue }
    }
    /// The `driver_override` attribute: absent where none is set or the bus has none.
    public var driverOverride: Reading<String> {
        get { fields.driverOverride }
        set { fields.driverOverride = newValue }
    }
    /// The IOMMU instance that translates for it (`iommu` link): dmar0, ivhd0, smmu3.0x...; nil where none is shown.
    public var iommu: String? {
        get { fields.iommu }
        set { fields.iommu = newValue }
    }
    /// The number of its kernel group; nil when the kernel put it in none.
    public var kernelGroup: Int? {
        get { fields.kernelGroup }
        set { fields.kernelGroup = newValue }
    }
    /// The NUMA node; nil when the kernel knows none (-1).
    public var numaNode: Int? {
        get { fields.numaNode }
        set { fields.numaNode = newValue }
    }

    /// The PCI side of it, if it is a PCI function.
    public var pci: PCIFunction? { if case .pci(let function) = kind { function } else { nil } }

    /// Whether other devices sit behind it. Bridges cannot be bound to vfio-pci.
    public var isBridge: Bool { pci?.isBridge ?? false }
}

/// What is known of a PCI function.
public struct PCIFunction: Equatable, Sendable {
    /// Where a virtual function comes from.
    public struct VirtualFunction: Equatable, Sendable {
        /// The physical function that owns it (`physfn` link).
        public var physicalFunction: PCIAddress
        /// Its number N among the physical function's `virtfnN`, from 0.
        public var index: Int

        public init(physicalFunction: PCIAddress, index: Int) {
            self.physicalFunction = physicalFunction
            self.index = index
        }
    }

    /// The numbers that say what a function is; each nil where neither sysfs nor the configuration space told.
    public struct Identification: Equatable, Sendable {
        public var vendorID: UInt16?
        public var deviceID: UInt16?
        public var subsystemVendorID: UInt16?
        public var subsystemDeviceID: UInt16?
        public var revision: UInt8?
        public var classCode: ClassCode?

        public init(
            vendorID: UInt16? = nil, deviceID: UInt16? = nil, subsystemVendorID: UInt16? = nil,
            subsystemDeviceID: UInt16? = nil, revision: UInt8? = nil, classCode: ClassCode? = nil
        ) {
            self.vendorID = vendorID
            self.deviceID = deviceID
            self.subsystemVendorID = subsystemVendorID
            self.subsystemDeviceID = subsystemDeviceID
            self.revision = revision
            self.classCode = classCode
        }

        /// Whether this may be the same device as another: what both are known to be is the same. The revision does not
        /// count, which an update of the firmware may change.
        public func agrees(with other: Self) -> Bool {
            func agree<Value: Equatable>(_ a: Value?, _ b: Value?) -> Bool { a == nil || b == nil || a == b }
            return agree(vendorID, other.vendorID) && agree(deviceID, other.deviceID)
                && agree(subsystemVendorID, other.subsystemVendorID)
                && agree(subsystemDeviceID, other.subsystemDeviceID) && agree(classCode, other.classCode)
        }
    }

    /// The root of its hierarchy.
    public var hostBridge: HostBridgeID
    /// The bridge directly above; nil on the root bus. A virtual function has its physical function's.
    public var parent: PCIAddress?
    /// What it is.
    public var identification: Identification
    /// What its configuration space says about isolation.
    public var capabilities: FunctionCapabilities
    /// Set in a virtual function.
    public var virtualFunction: VirtualFunction?
    /// The virtual functions that a physical function has now, by their number.
    public var virtualFunctions: [PCIAddress]
    /// Whether it is a bridge with a bus behind it, from the header type or, where that is unknown, the class code or
    /// the devices found below it.
    public var isBridge: Bool
    /// The number of its partitionable endpoint, where the kernel shows it (`eeh_pe_config_addr` on powernv).
    public var partitionableEndpoint: Int?
    /// Its BARs and ROM, read where PE numbers depend on them; nil where they were not.
    public var resources: [Resource]?
    /// The nearest node above it in the device tree that owns a DMA window, on a logical host bridge.
    public var windowNode: String?

    public init(
        hostBridge: HostBridgeID, parent: PCIAddress?, identification: Identification,
        capabilities: FunctionCapabilities, virtualFunction: VirtualFunction? = nil,
        virtualFunctions: [PCIAddress] = [], isBridge: Bool
    ) {
        self.hostBridge = hostBridge
        self.parent = parent
        self.identification = identification
        self.capabilities = capabilities
        self.virtualFunction = virtualFunction
        self.virtualFunctions = virtualFunctions
        self.isBridge = isBridge
    }
}
