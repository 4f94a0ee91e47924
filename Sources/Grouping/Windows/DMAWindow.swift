// The I/O virtual addresses that a group may use and may not, in one shape on every platform.

import Inventory
import PCI

/// An interval of I/O virtual addresses, and what is known of it.
public struct DMAWindow: Equatable, Sendable {
    /// What it is.
    public enum Kind: String, Sendable, CaseIterable {
        /// It may be mapped.
        case usable
        /// No mapping may use it.
        case reserved
        /// The MSI doorbell: no mapping may use it.
        case msi
        /// Firmware uses it (Intel RMRR); the kernel refuses the device to vfio.
        case direct
        /// As direct, but it may be mapped once the device is given away.
        case directRelaxable
        /// POWER's 32-bit window.
        case window32
        /// POWER's 64-bit window.
        case window64
        /// A window that was made on request, or can be.
        case dynamic
    }

    /// When the figure is true.
    public enum Time: String, Sendable {
        /// Before anything is attached.
        case boot
        /// As the kernel said when the group was attached.
        case attached
    }

    public var kind: Kind
    /// The first address; nil where it is not known before the window is made.
    public var start: UInt64?
    /// The last address, inclusive; nil where it is not known.
    public var last: UInt64?
    /// The page sizes in bytes, one bit each; 0 where they are not known.
    public var pageSizes: UInt64
    /// Where the figure comes from: an attribute, a property of the device tree, or a rule.
    public var source: String
    public var time: Time

    public init(
        _ kind: Kind, _ start: UInt64?, _ last: UInt64?, pageSizes: UInt64 = 0, source: String, time: Time = .boot
    ) {
        self.kind = kind
        self.start = start
        self.last = last
        self.pageSizes = pageSizes
        self.source = source
        self.time = time
    }

    /// The page sizes in bytes, ascending.
    public var pageSizeList: [UInt64] {
        (0..<64).compactMap { pageSizes >> UInt64($0) & 1 == 1 ? 1 << UInt64($0) : nil }
    }
}

extension DMAWindow {
    /// The windows of a group, from what the platform says before anything is attached; in the order of their addresses,
    /// what is usable first. A group that no IOMMU stands behind has none.
    ///
    /// - Parameters:
    ///   - group: the group.
    ///   - inventory: the host that it is on.
    ///   - endpoints: the PE numbers of the host's devices, where the platform has them.
    /// - Returns: the windows, both ends of each inclusive.
    public static func windows(
        of group: Group, in inventory: Inventory, endpoints: [DeviceAddress: Int]
    ) -> [DMAWindow] {
        guard group.isolation.isIsolated else { return [] }
        let members = group.members.compactMap { inventory[$0] }
        return usable(members, in: inventory) + reserved(group, in: inventory)
            + tables(members, in: inventory, endpoints: endpoints)
    }

    /// The windows once the group is attached: the ranges that the kernel gave take the place of what was derived.
    public static func attached(_ windows: [DMAWindow], ranges: [ClosedRange<UInt64>]) -> [DMAWindow] {
        guard !ranges.isEmpty else { return windows }
        let known = ranges.map {
            DMAWindow(.usable, $0.lowerBound, $0.upperBound, source: "the attach's IOVA ranges", time: .attached)
        }
        return known + windows.filter { $0.kind != .usable }
    }

    /// What the kernel lists in `reserved_regions` of the group's kernel groups, each once.
    private static func reserved(_ group: Group, in inventory: Inventory) -> [DMAWindow] {
        var windows: [DMAWindow] = []
        for number in group.kernelGroups {
            for region in inventory.kernelGroup(number)?.reservedRegions ?? [] {
                let window = DMAWindow(Kind(region.kind), region.start, region.last, source: "reserved_regions")
                if !windows.contains(window) { windows.append(window) }
            }
        }
        return windows.sorted { ($0.start ?? 0, $0.last ?? 0) < ($1.start ?? 0, $1.last ?? 0) }
    }

    /// What the narrowest of the group's IOMMUs can translate, without what is reserved: the kernel's own subtraction
    /// (vfio_iommu_resv_exclude, drivers/vfio/vfio_iommu_type1.c). Nothing where a member's IOMMU shows no registers.
    private static func usable(_ members: [Device], in inventory: Inventory) -> [DMAWindow] {
        var narrowest: TranslationUnit?
        let endpoints = members.filter { !$0.isBridge }
        for member in endpoints.isEmpty ? members : endpoints {
            guard let name = member.iommu, let unit = inventory.translationUnits.first(where: { $0.name == name })
            else { return [] }
            if unit.addressWidth < narrowest?.addressWidth ?? .max { narrowest = unit }
        }
        guard let unit = narrowest else { return [] }
        let numbers = Set(members.compactMap(\.kernelGroup))
        let taken = numbers.flatMap { inventory.kernelGroup($0)?.reservedRegions ?? [] }
            .filter { $0.kind != .directRelaxable }.sorted { $0.start < $1.start }
        let top = UInt64.max >> UInt64(64 - unit.addressWidth)
        var windows: [DMAWindow] = []
        var next: UInt64? = 0
        func add(_ start: UInt64, _ last: UInt64) {
            windows.append(
                DMAWindow(.usable, start, last, source: "\(unit.name)/\(unit.source) without reserved_regions"))
        }
        for region in taken where region.start <= top {
            guard let start = next else { break }
            if region.start > start { add(start, region.start - 1) }
            if region.last >= start { next = region.last < top ? region.last + 1 : nil }
        }
        if let start = next { add(start, top) }
        return windows
    }
}

extension DMAWindow.Kind {
    /// A word that this program does not know reserves like any other.
    init(_ kind: ReservedRegion.Kind) {
        switch kind {
        case .direct: self = .direct
        case .directRelaxable: self = .directRelaxable
        case .msi: self = .msi
        case .reserved, .unrecognized: self = .reserved
        }
    }

    /// Its name in the API: as in `reserved_regions`, with an underscore.
    public var name: String { self == .directRelaxable ? "direct_relaxable" : rawValue }
}
