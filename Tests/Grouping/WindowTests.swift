// DMA windows: what is derived is what the captures' kernels said.

import EventLoop
import Inventory
import LinuxHost
import PCI
import Testing
import TestSupport

@testable import Grouping

/// The windows of all groups of a host, by identity.
private func windows(_ inventory: Inventory) -> [String: [DMAWindow]] {
    let grouping = Grouping(inventory, policy: .auto)
    return Dictionary(
        uniqueKeysWithValues: grouping.groups.map {
            ($0.id.text, DMAWindow.windows(of: $0, in: inventory, endpoints: grouping.endpoints))
        })
}

@Suite("DMA windows", .timeLimit(.minutes(15)))
struct WindowTests {
    init() throws { try EventLoop.main.runInBackground() }

    private func inventory(_ name: String) async throws -> Inventory {
        try await LinuxHost(root: try #require(Capture.named(name)).root).readInventory()
    }

    @Test("behind Intel's IOMMU they are what vfio reported: the 39 bits of the unit without the MSI window")
    @LoopActor func intel() async throws {
        let all = windows(try await inventory("q35-intel-rich"))
        #expect(all.count == 24)
        for (id, windows) in all {
            let usable = windows.filter { $0.kind == .usable }
            #expect(usable.map(\.start) == [0, 0xfef0_0000], "\(id)")
            #expect(usable.map(\.last) == [0xfedf_ffff, 0x7f_ffff_ffff], "\(id)")
            #expect(usable.allSatisfy { $0.source == "dmar0/intel-iommu/cap without reserved_regions" })
        }
    }

    @Test("reserved regions come as the kernel listed them, in every capture", .realCaptures, arguments: Capture.all)
    @LoopActor func reserved(capture: Capture) async throws {
        let inventory = try await LinuxHost(root: capture.root).readInventory()
        let grouping = Grouping(inventory, policy: .auto)
        for group in grouping.groups where group.isolation.isIsolated {
            let windows = DMAWindow.windows(of: group, in: inventory, endpoints: grouping.endpoints)
            let kinds: Set<DMAWindow.Kind> = [.reserved, .msi, .direct, .directRelaxable]
            let found = windows.filter { kinds.contains($0.kind) }
            for number in group.kernelGroups {
                for region in inventory.kernelGroup(number)?.reservedRegions ?? [] {
                    #expect(found.contains { $0.start == region.start && $0.last == region.last })
                }
            }
        }
    }

    @Test("a relaxable region stays usable, and others do not; of several IOMMUs the narrowest counts")
    @LoopActor func subtraction() async throws {
        var first = pciDevice("0000:00:01.0", group: 1)
        var second = pciDevice("0000:00:02.0", group: 1)
        (first.iommu, second.iommu) = ("ivhd0", "ivhd1")
        func inventory(_ units: [TranslationUnit]) -> Inventory {
            Inventory(
                hostBridges: machine(first).hostBridges, devices: [first, second],
                kernelGroups: [
                    KernelGroup(
                        number: 1,
                        reservedRegions: [
                            ReservedRegion(start: 0, last: 0xfff, kind: .directRelaxable),
                            ReservedRegion(start: 0x10_0000, last: 0x1f_ffff, kind: .reserved),
                            ReservedRegion(start: 0x18_0000, last: 0x2f_ffff, kind: .msi),
                            ReservedRegion(start: 0xffff_0000_0000, last: .max, kind: .reserved),
                        ])
                ], translationUnits: units)
        }
        let wide = TranslationUnit(name: "ivhd0", addressWidth: 64, source: "amd-iommu/features")
        let narrow = TranslationUnit(name: "ivhd1", addressWidth: 48, source: "amd-iommu/features")
        let found = try #require(windows(inventory([wide, narrow])).values.first)
        #expect(found.filter { $0.kind == .usable }.map(\.start) == [0, 0x30_0000])
        #expect(found.filter { $0.kind == .usable }.map(\.last) == [0xf_ffff, 0xfffe_ffff_ffff])
        #expect(found.contains { $0.kind == .directRelaxable && $0.last == 0xfff })
        let unknown = try #require(windows(inventory([wide])).values.first)
        #expect(!unknown.contains { $0.kind == .usable })
        let ranges: [ClosedRange<UInt64>] = [0x1000...0x1fff]
        let attached = DMAWindow.attached(found, ranges: ranges)
        #expect(attached.filter { $0.kind == .usable }.map(\.time) == [.attached])
        #expect(attached.filter { $0.kind == .msi }.map(\.time) == [.boot])
        #expect(DMAWindow.attached(found, ranges: []) == found)
    }

    @Test("a group that nothing isolates has none")
    func unisolated() {
        #expect(windows(machine(pciDevice("0000:00:01.0"))).values.allSatisfy { $0.isEmpty })
    }
}

@Suite("DMA windows of POWER", .timeLimit(.minutes(15)))
struct POWERWindowTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test(
        "on bare metal they are what GET_INFO and CREATE of the sPAPR TCE IOMMU said",
        arguments: ["powernv9-a", "powernv9-b-2chip"])
    @LoopActor func powernv(name: String) async throws {
        let all = windows(try await LinuxHost(root: try #require(Capture.named(name)).root).readInventory())
        #expect(!all.isEmpty)
        for (id, windows) in all {
            #expect(windows.map(\.kind) == [.window32, .window64, .dynamic], "\(id)")
            // dma32_window_start, dma32_window_size and ddw.pgsizes.
            #expect(windows[0].start == 0 && windows[0].last == 0x7fff_ffff)
            #expect(windows[0].pageSizes == 0x4021_1000)
            // What VFIO_IOMMU_SPAPR_TCE_CREATE returned.
            #expect(windows[2].start == 0x800_0000_0000_0000)
            // The memory nodes are not in the capture.
            #expect(windows[1].start == 0x800_0000_0000_0000 && windows[1].last == nil)
        }
    }

    @Test("in a partition they are the firmware's, as GET_INFO said")
    @LoopActor func pseries() async throws {
        let all = windows(try await LinuxHost(root: try #require(Capture.named("pseries-k612")).root).readInventory())
        let lasts = Dictionary(uniqueKeysWithValues: all.map { (String($0.key.prefix(7)), $0.value.map(\.last)) })
        #expect(
            lasts == [
                "pci0000": [0x3fff_ffff], "pci0001": [0x3fff_ffff], "pci0002": [0x3fff_ffff], "pci0005": [0x7fff_ffff],
            ])
        #expect(all.values.allSatisfy { $0.allSatisfy { $0.kind == .window32 && $0.start == 0 } })
    }

    @Test("a window that the kernel had the firmware make is shown with its page size")
    @LoopActor func dynamic() async throws {
        let sysfs = SyntheticSysfs()
        let node = "/pci@800000020000000"
        sysfs.add("0000:00:01.0", below: "pci0000:00", config: ConfigBuilder(size: 256).bytes, kernelGroup: 0)
        sysfs.node(node, ofHostBridge: "pci0000:00")
        sysfs.folder.write(sysfs.path(of: "0000:00:01.0") + "/devspec", node + "\n")
        sysfs.property("compatible", of: node, strings: "IBM,Logical_PHB")
        sysfs.property("ibm,dma-window", of: node, cells: 0x8000_0000, 0, 0, 0, 0x4000_0000)
        sysfs.property(
            "linux,direct64-ddr-window-info", of: node, cells: 0x8000_0001, 0x0800_0000, 0, 16, 31)
        let found = windows(try await LinuxHost(root: sysfs.root).readInventory()).values.first ?? []
        #expect(found.map(\.kind) == [.window32, .dynamic])
        let window = try #require(found.last)
        #expect(window.start == 0x800_0000_0000_0000 && window.last == 0x800_0000_7fff_ffff)
        #expect(window.pageSizeList == [0x1_0000])
    }

    @Test("the bypass covers the power of two above all memory, unless the kernel was told otherwise")
    @LoopActor func bypass() async throws {
        let sysfs = SyntheticSysfs()
        let node = "/pciex@600c3c0000000"
        sysfs.add("0000:00:01.0", below: "pci0000:00", config: ConfigBuilder(size: 256).bytes, kernelGroup: 0)
        sysfs.node(node, ofHostBridge: "pci0000:00")
        sysfs.property("compatible", of: node, strings: "ibm,power9-pciex", "ibm,ioda3-phb")
        sysfs.property("ibm,opal-num-pes", of: node, cells: 256)
        sysfs.property("ranges", of: node, cells: 0x0200_0000, 0, 0x8000_0000, 0x600c0, 0, 0, 0x7fff_0000)
        sysfs.property("reg", of: "/memory@0", cells: 0, 0, 0, 0x8000_0000)
        sysfs.property("reg", of: "/memory@80000000", cells: 0, 0x8000_0000, 0, 0x4000_0000)
        var found = windows(try await LinuxHost(root: sysfs.root).readInventory()).values.first ?? []
        #expect(found.first { $0.kind == .window64 }?.last == 0x800_0000_ffff_ffff)
        sysfs.folder.write("proc/cmdline", "root=/dev/sda iommu=nobypass\n")
        found = windows(try await LinuxHost(root: sysfs.root).readInventory()).values.first ?? []
        #expect(found.map(\.kind) == [.window32, .dynamic])
    }

    /// What each PE gets of eight segments: PEs 2 (two network cards), 3 (SCSI, serial, USB), 4 and 5.
    @Test(
        "P7IOC's segments are divided by weight, by the rules of the kernel's time",
        arguments: [("3.10.0", false), ("4.8.0", true)])
    @LoopActor func p7ioc(release: String, isSince46: Bool) async throws {
        let sysfs = p7iocMachine()
        sysfs.property(
            "ranges", of: "/pciex@3efe00700000", cells: 0x0200_0000, 0, 0x8000_0000, 0x3efe, 0, 0, 0x7fff_0000)
        sysfs.folder.write("proc/version", "Linux version \(release) (x@y) #1\n")
        let inventory = try await LinuxHost(root: sysfs.root).readInventory()
        let bridge = try #require(inventory.hostBridges.first)
        let endpoints = Grouping(inventory, policy: .auto).endpoints
        let division = try #require(SegmentDivision(of: bridge, in: inventory, endpoints: endpoints))
        let segments = division.segments.sorted { $0.value.lowerBound < $1.value.lowerBound }.map(\.value)
        // Weights 23 (SCSI, serial, OHCI), 20 (two network cards), 10 and 10: 63 together.
        #expect(segments == (isSince46 ? firstFit(endpoints) : [0..<2, 2..<4, 4..<6, 6..<8]))
        #expect(segments.last?.upperBound ?? 0 <= 8)
        let address = try #require(PCIAddress("0001:09:00.0"))
        let card = try #require(endpoints[.pci(address)])
        let window = try #require(division.windows(of: [card]).first)
        #expect(window.start.map { $0 % SegmentDivision.segmentSize } == 0)
    }

    private func firstFit(_ endpoints: [DeviceAddress: Int]) -> [Range<Int>] {
        // In the order of PE numbers: cards 20*8/63 = 2, then 23*8/63 = 2, then 10*8/63 = 1 each.
        [0..<2, 2..<4, 4..<5, 5..<6]
    }
}
