// DMA windows of POWER: placed by the kernel on bare metal (IODA), by the firmware in a partition
// (Documentation/kernel.md, POWER, DMA windows).

import Inventory
import PCI

extension DMAWindow {
    /// Where window 1 of a PE begins: bit 59 of an address chooses between the two (TCE select, PHB3 and later).
    private static let secondWindowStart: UInt64 = 1 << 59

    /// The windows of the host bridges that the members are below.
    static func tables(
        _ members: [Device], in inventory: Inventory, endpoints: [DeviceAddress: Int]
    ) -> [DMAWindow] {
        let names = Set(members.compactMap { $0.pci?.hostBridge })
        return inventory.hostBridges.filter { names.contains($0.id) }.flatMap { bridge -> [DMAWindow] in
            let tables = bridge.tables ?? TranslationTables()
            switch bridge.partitioning {
            case .ioda:
                return Self.ioda(
                    tables, bypass: !(inventory.commandLine?.values(of: "iommu") ?? []).contains("nobypass"))
            case .p7ioc:
                return SegmentDivision(of: bridge, in: inventory, endpoints: endpoints)?
                    .windows(of: Set(members.compactMap { endpoints[$0.address] })) ?? []
            case .logical: return Self.logical(tables, members)
            case nil: return []
            }
        }
    }

    /// Every PE has a 32-bit window and, unless told otherwise, one at 1 << 59 through which all memory is seen
    /// (pnv_pci_ioda2_set_bypass). Once vfio has the group, windows are made anew at these places.
    private static func ioda(_ tables: TranslationTables, bypass: Bool) -> [DMAWindow] {
        var windows: [DMAWindow] = []
        if let size = tables.lowWindowSize, size > 0 {
            windows.append(
                DMAWindow(.window32, 0, size - 1, pageSizes: tables.pageSizes, source: "device tree: ranges"))
        }
        if bypass {
            let last = tables.memoryEnd.flatMap(roundedUpToPowerOfTwo).map { Self.secondWindowStart + $0 - 1 }
            windows.append(DMAWindow(.window64, secondWindowStart, last, source: "bypass of all memory"))
        }
        windows.append(
            DMAWindow(
                .dynamic, secondWindowStart, nil, pageSizes: tables.pageSizes,
                source: "device tree: ibm,supported-tce-sizes"))
        return windows
    }

    /// nil for what reaches into the bits that choose a window.
    private static func roundedUpToPowerOfTwo(_ size: UInt64) -> UInt64? {
        guard size > 0, size <= secondWindowStart else { return nil }
        return size == 1 ? 1 : 1 << UInt64(64 - (size - 1).leadingZeroBitCount)
    }

    /// The windows of the nodes that the members' windows belong to.
    private static func logical(_ tables: TranslationTables, _ members: [Device]) -> [DMAWindow] {
        let nodes = Set(members.compactMap { $0.pci?.windowNode })
        return tables.windows.filter { nodes.contains($0.node) }.map { window in
            DMAWindow(
                window.property == .fixed ? (window.last <= UInt64(UInt32.max) ? .window32 : .window64) : .dynamic,
                window.start, window.last, pageSizes: window.pageSizes,
                source: "device tree: \(window.property.rawValue)")
        }
    }
}

/// How P7IOC divides its 32-bit space: in segments of 256 MiB that all PEs of the host bridge share, by weight. The rules
/// changed with 4.6 (arch/powerpc/platforms/powernv/pci-ioda.c: pnv_ioda_setup_dma before, pnv_pci_ioda1_setup_dma_pe
/// since); neither has been seen to run here, for want of such a machine.
struct SegmentDivision {
    static let segmentSize: UInt64 = 256 << 20

    /// The segments of PEs, by their numbers.
    let segments: [Int: Range<Int>]

    /// nil where the device tree does not say how large the space is.
    init?(of bridge: HostBridge, in inventory: Inventory, endpoints: [DeviceAddress: Int]) {
        guard let size = bridge.tables?.lowWindowSize else { return nil }
        var weights: [Int: Int] = [:]
        for device in inventory.devices where device.pci?.hostBridge == bridge.id {
            if let number = endpoints[device.address] { weights[number, default: 0] += Self.weight(of: device) }
        }
        let heavy = weights.filter { $0.value > 0 }.sorted { $0.key < $1.key }
        let count = Int(clamping: size / Self.segmentSize)
        let release = inventory.kernel
        let isSince46 = release.map { ($0.major, $0.minor) >= (4, 6) } ?? false
        segments = isSince46 ? Self.firstFit(heavy, count) : Self.byWeight(heavy, count)
    }

    /// The windows of these PEs.
    func windows(of endpoints: Set<Int>) -> [DMAWindow] {
        endpoints.sorted().compactMap { segments[$0] }.map { range in
            DMAWindow(
                .window32, UInt64(range.lowerBound) * Self.segmentSize, UInt64(range.upperBound) * Self.segmentSize - 1,
                pageSizes: 1 << 12, source: "256 MiB segments by weight")
        }
    }

    /// pnv_ioda_dma_weight: bridges none, slow USB controllers 3, RAID controllers 15, others 10.
    private static func weight(of device: Device) -> Int {
        guard !device.isBridge else { return 0 }
        let code = device.pci?.identification.classCode?.rawValue ?? 0
        switch code {
        case 0x0c0300, 0x0c0310, 0x0c0320: return 3
        case 0x010400...0x0104ff: return 15
        default: return 10
        }
    }

    /// Before 4.6: the heaviest first, one segment each and of the rest a share by weight, laid out from 0.
    private static func byWeight(_ weights: [(key: Int, value: Int)], _ count: Int) -> [Int: Range<Int>] {
        let total = weights.reduce(0) { $0 + $1.value }
        let residual = max(0, count - weights.count)
        var segments: [Int: Range<Int>] = [:]
        var base = 0
        for (number, weight) in weights.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) where base < count {
            let share = 1 + (weight * residual + total / 2) / total
            segments[number] = base..<min(base + share, count)
            base = min(base + share, count)
        }
        return segments
    }

    /// Since 4.6: a share by weight where it first fits, and one less until it does.
    private static func firstFit(_ weights: [(key: Int, value: Int)], _ count: Int) -> [Int: Range<Int>] {
        let total = weights.reduce(0) { $0 + $1.value }
        var segments: [Int: Range<Int>] = [:]
        var base = 0
        // What is given is never given back, so that the free rest is one piece.
        for (number, weight) in weights where base < count {
            let share = min(max(1, weight * count / total), count - base)
            segments[number] = base..<(base + share)
            base += share
        }
        return segments
    }
}
