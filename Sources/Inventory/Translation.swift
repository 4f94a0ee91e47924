// What a platform says, before anything is attached, about the I/O addresses that its IOMMUs translate: the registers
// of translation units on x86, the nodes of host bridges in the device tree of POWER.

/// An IOMMU instance, as /sys/class/iommu lists it: dmar0, ivhd0, ...
public struct TranslationUnit: Equatable, Sendable {
    /// Its name, which the `iommu` link of its devices leads to.
    public var name: String
    /// How many bits an I/O address may have, 1 to 64, by its capability registers.
    public var addressWidth: Int
    /// The attribute that says so, below the unit's folder: `intel-iommu/cap`, `amd-iommu/features`.
    public var source: String

    public init(name: String, addressWidth: Int, source: String) {
        self.name = name
        self.addressWidth = addressWidth
        self.source = source
    }
}

extension TranslationUnit {
    /// The width that an Intel unit's capability register gives (VT-d specification, 11.4.2): the largest adjusted guest
    /// address width it walks tables for (SAGAW, bits 12:8), and no more than its maximum guest address width (MGAW,
    /// bits 21:16, which holds one less). nil where it walks none.
    public static func intelAddressWidth(capability: UInt64) -> Int? {
        let tables = capability >> 8 & 0x1f
        guard tables != 0 else { return nil }
        let levels = 63 - tables.leadingZeroBitCount
        return min(30 + 9 * levels, 64, Int(capability >> 16 & 0x3f) + 1)
    }

    /// The width that an AMD unit's extended feature register gives (HATS, bits 11:10: tables of 4, 5 or 6 levels; AMD
    /// I/O Virtualization Technology specification, 3.4.1). nil for the reserved value.
    public static func amdAddressWidth(extendedFeatures: UInt64) -> Int? {
        switch extendedFeatures >> 10 & 3 {
        case 0: 48
        case 1: 57
        case 2: 64
        default: nil
        }
    }
}

/// What the device tree says of the translation tables below a host bridge of POWER.
public struct TranslationTables: Equatable, Sendable {
    /// The size in bytes of the 32-bit window, which begins at I/O address 0: the PCI start of the 32-bit memory entry of
    /// the node's `ranges` (pnv_pci_init_ioda_phb, platforms/powernv/pci-ioda.c). nil where the firmware places windows.
    public var lowWindowSize: UInt64?
    /// The page sizes in bytes, one bit each (`ibm,supported-tce-sizes`); 0 where the node does not say.
    public var pageSizes: UInt64
    /// How far the machine's memory reaches, in bytes from address 0 (`reg` of the memory nodes): the kernel's 64-bit
    /// bypass covers the next power of two. nil where no memory node was readable.
    public var memoryEnd: UInt64?
    /// The windows that nodes own, where the firmware places them, in the order of nodes.
    public var windows: [NodeWindow]

    public init(
        lowWindowSize: UInt64? = nil, pageSizes: UInt64 = 0, memoryEnd: UInt64? = nil, windows: [NodeWindow] = []
    ) {
        self.lowWindowSize = lowWindowSize
        self.pageSizes = pageSizes
        self.memoryEnd = memoryEnd
        self.windows = windows
    }
}

/// A DMA window that a node of the device tree owns, for all that is below it.
public struct NodeWindow: Equatable, Sendable {
    /// The property that it stands in.
    public enum Property: String, Equatable, Sendable, CaseIterable {
        /// The window that the firmware made.
        case fixed = "ibm,dma-window"
        /// A 64-bit window that the kernel had made, and maps all memory in.
        case direct = "linux,direct64-ddr-window-info"
        /// A 64-bit window that the kernel had made, and maps what drivers ask for in.
        case dynamic = "linux,dma64-ddr-window-info"
    }

    /// The path of the node.
    public var node: String
    public var property: Property
    /// The first I/O address.
    public var start: UInt64
    /// The last I/O address, inclusive.
    public var last: UInt64
    /// The page sizes in bytes, one bit each; 0 where the property does not say.
    public var pageSizes: UInt64

    public init(node: String, property: Property, start: UInt64, last: UInt64, pageSizes: UInt64 = 0) {
        self.node = node
        self.property = property
        self.start = start
        self.last = last
        self.pageSizes = pageSizes
    }
}
