// The kernel's own groups, /sys/kernel/iommu_groups, as they stand.

/// One folder of /sys/kernel/iommu_groups. Its number is reused by the kernel and is no identity.
public struct KernelGroup: Equatable, Sendable {
    /// The number N.
    public var number: Int
    /// `name`, where the platform sets one: `vfio-noiommu`, or `domainD-peX` on POWER.
    public var name: String?
    /// `type`: DMA, DMA-FQ, identity, ...; nil where it was not readable.
    public var type: String?
    /// `reserved_regions`, ascending.
    public var reservedRegions: [ReservedRegion]

    public init(number: Int, name: String? = nil, type: String? = nil, reservedRegions: [ReservedRegion] = []) {
        self.number = number
        self.name = name
        self.type = type
        self.reservedRegions = reservedRegions
    }

    /// Made by vfio itself in no-IOMMU mode (VFIO_NOIOMMU, drivers/vfio/group.c): it isolates nothing.
    public var isNoIOMMU: Bool { name == "vfio-noiommu" }
}

/// A line of `reserved_regions`: I/O virtual addresses that no mapping may use
/// (Documentation/ABI/testing/sysfs-kernel-iommu_groups).
public struct ReservedRegion: Equatable, Sendable {
    /// The word at the end of the line.
    public enum Kind: Equatable, Sendable {
        /// Must stay mapped one to one: firmware uses it (Intel RMRR). The kernel refuses such a device to vfio.
        case direct
        /// As direct, but known to be harmless once the device is given away.
        case directRelaxable
        case reserved
        /// The MSI doorbell, handled by hardware or by software.
        case msi
        /// A word of a kernel newer than this program.
        case unrecognized(String)

        public init(_ word: some StringProtocol) {
            switch word {
            case "direct": self = .direct
            case "direct-relaxable": self = .directRelaxable
            case "reserved": self = .reserved
            case "msi": self = .msi
            default: self = .unrecognized(String(word))
            }
        }
    }

    /// The first address.
    public var start: UInt64
    /// The last address, inclusive.
    public var last: UInt64
    /// What it is reserved for.
    public var kind: Kind

    public init(start: UInt64, last: UInt64, kind: Kind) {
        self.start = start
        self.last = last
        self.kind = kind
    }
}
