// Everything that was found on a host, as one value. It is read, never changed: a new scan makes a new one.

import PCI

/// The root of a PCI hierarchy.
public struct HostBridge: Equatable, Sendable {
    /// Its name.
    public var id: HostBridgeID
    /// The device that it sits below, as Intel VMD's does; nil for a root of the machine itself.
    public var parent: PCIAddress?
    /// How it makes partitionable endpoints; nil where the platform says nothing of them.
    public var partitioning: Partitioning?
    /// What its node says of translation tables; nil where the platform says nothing of them.
    public var tables: TranslationTables?

    public init(
        id: HostBridgeID, parent: PCIAddress? = nil, partitioning: Partitioning? = nil,
        tables: TranslationTables? = nil
    ) {
        self.id = id
        self.parent = parent
        self.partitioning = partitioning
        self.tables = tables
    }
}

/// Something odd that was seen while reading, which did not stop the reading.
public struct InventoryWarning: Equatable, Sendable {
    /// The device it is about; nil when it is about the whole host.
    public var device: DeviceAddress?
    /// The byte offset in the device's configuration space, where it is about one.
    public var offset: Int?
    /// What was seen, and what follows.
    public var message: String

    public init(device: DeviceAddress? = nil, offset: Int? = nil, message: String) {
        self.device = device
        self.offset = offset
        self.message = message
    }
}

/// The host bridges, devices and kernel groups of a host at one moment.
public struct Inventory: Equatable, Sendable {
    /// The kernel's release; nil where it could not be read.
    public let kernel: KernelRelease?
    /// What it was told at boot; nil where that could not be read.
    public let commandLine: KernelCommandLine?
    /// What is known of interrupt remapping; nil where nothing is.
    public let interrupts: InterruptRemapping?
    /// Every host bridge, ascending.
    public let hostBridges: [HostBridge]
    /// Every device, ascending by address.
    public let devices: [Device]
    /// The kernel's groups, ascending by number.
    public let kernelGroups: [KernelGroup]
    /// The IOMMUs whose registers can be read.
    public let translationUnits: [TranslationUnit]
    /// The slots, in the order of their names.
    public let slots: [Slot]
    /// What was odd.
    public let warnings: [InventoryWarning]
    /// Whether the kernel isolates any PCI function: groups of no-IOMMU mode do not count.
    public let hasPCIKernelGroups: Bool

    private let deviceIndices: [DeviceAddress: Int]
    private let kernelGroupIndices: [Int: Int]

    /// Sorts what it is given; of two devices with one address the first stays.
    public init(
        kernel: KernelRelease? = nil, commandLine: KernelCommandLine? = nil,
        interrupts: InterruptRemapping? = nil, hostBridges: [HostBridge] = [],
        devices: [Device] = [], kernelGroups: [KernelGroup] = [], translationUnits: [TranslationUnit] = [],
        slots: [Slot] = [], warnings: [InventoryWarning] = []
    ) {
        self.kernel = kernel
        self.commandLine = commandLine
        self.interrupts = interrupts
        self.hostBridges = hostBridges.sorted { $0.id < $1.id }
        var seen = Set<DeviceAddress>(minimumCapacity: devices.count)
        let sorted = devices.filter { seen.insert($0.address).inserted }.sorted { $0.address < $1.address }
        self.devices = sorted
        self.kernelGroups = kernelGroups.sorted { $0.number < $1.number }
        self.translationUnits = translationUnits
        self.slots = slots
        self.warnings = warnings
        deviceIndices = Dictionary(uniqueKeysWithValues: zip(sorted.map(\.address), sorted.indices))
        kernelGroupIndices = Dictionary(
            zip(self.kernelGroups.map(\.number), self.kernelGroups.indices), uniquingKeysWith: { first, _ in first })
        let noIOMMU = Set(kernelGroups.filter(\.isNoIOMMU).map(\.number))
        hasPCIKernelGroups = sorted.contains { device in
            device.pci != nil && device.kernelGroup.map { !noIOMMU.contains($0) } ?? false
        }
    }

    /// The device with this address.
    public subscript(_ address: DeviceAddress) -> Device? { deviceIndices[address].map { devices[$0] } }

    /// The PCI function with this address.
    public subscript(_ address: PCIAddress) -> Device? { self[.pci(address)] }

    /// The kernel group with this number.
    public func kernelGroup(_ number: Int) -> KernelGroup? { kernelGroupIndices[number].map { kernelGroups[$0] } }
}
