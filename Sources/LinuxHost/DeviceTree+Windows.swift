// What nodes of host bridges say of translation tables, as cells: Documentation/kernel.md, POWER, DMA windows.

import Files
import Inventory

extension TranslationTables {
    /// The tables of a host bridge whose windows the kernel places itself; nil where the firmware does, which its nodes
    /// tell one by one.
    init?(node: borrowing Directory, _ partitioning: Partitioning, memoryEnd: UInt64?) {
        if case .logical = partitioning { return nil }
        let sizes = node.cells("ibm,supported-tce-sizes") ?? []
        self.init(
            lowWindowSize: node.cells("ranges").flatMap(Self.lowMemoryStart(ranges:)),
            pageSizes: sizes.reduce(0) { $1 < 64 ? $0 | 1 << UInt64($1) : $0 },
            memoryEnd: memoryEnd)
    }

    /// The PCI start of the 32-bit memory entry of `ranges`. An entry is three cells of PCI address, two of the CPU's
    /// and two of size; bits 25:24 of the first cell are the space, 2 for 32-bit memory (IEEE 1275 PCI binding, 2.2.1.1).
    private static func lowMemoryStart(ranges: [UInt32]) -> UInt64? {
        for at in stride(from: 0, through: ranges.count - 7, by: 7) where (ranges[at] >> 24) & 3 == 2 {
            return UInt64(ranges[at + 1]) << 32 | UInt64(ranges[at + 2])
        }
        return nil
    }
}

extension DeviceTree {
    /// The end of the highest memory, in bytes: `reg` of the nodes `memory@...`, two cells of address and two of size an
    /// entry. nil where there is none.
    var memoryEnd: UInt64? {
        var end: UInt64?
        for name in topNodes where name.hasPrefix("memory@") {
            let cells = node(name)?.cells("reg") ?? []
            for at in stride(from: 0, through: cells.count - 4, by: 4) {
                let start = UInt64(cells[at]) << 32 | UInt64(cells[at + 1])
                let size = UInt64(cells[at + 2]) << 32 | UInt64(cells[at + 3])
                end = max(end ?? 0, start &+ size)
            }
        }
        return end
    }
}

extension NodeWindow {
    /// The windows of a node, those of the kernel's making too.
    static func windows(of path: String, _ node: borrowing Directory) -> [NodeWindow] {
        var windows: [NodeWindow] = []
        for property in Property.allCases {
            guard let cells = node.cells(property.rawValue), cells.count >= 5 else { continue }
            // The first cell is the table's number (liobn).
            let start = UInt64(cells[1]) << 32 | UInt64(cells[2])
            let size: UInt64
            var pageSizes: UInt64 = 0
            if case .fixed = property {
                size = UInt64(cells[3]) << 32 | UInt64(cells[4])
                // The kernel takes pages of 4 KiB for it (IOMMU_PAGE_SHIFT_4K, iommu_table_setparms_common).
                pageSizes = 1 << 12
            } else {
                guard cells[3] < 64, cells[4] < 64 else { continue }
                size = 1 << UInt64(cells[4])
                pageSizes = 1 << UInt64(cells[3])
            }
            let (last, overflow) = start.addingReportingOverflow(size &- 1)
            guard size > 0, !overflow else { continue }
            windows.append(
                NodeWindow(node: path, property: property, start: start, last: last, pageSizes: pageSizes))
        }
        return windows
    }
}
