// How Linux 3.6 to 4.4 made PEs, on P7IOC above all (arch/powerpc/platforms/powernv/pci-ioda.c of those releases): 128 of
// them, number 0 taken, handed out upwards in one walk from the root bus.

import Inventory
import PCI

/// The walk over a P7IOC host bridge's buses.
struct P7IOCDerivation {
    /// PE numbers of a P7IOC; the code had it hard-wired.
    private static let count = 128

    private let tree: FunctionTree
    private var next = 1
    private var derivation = EndpointDerivation()

    init(_ tree: FunctionTree) { self.tree = tree }

    mutating func derive() -> EndpointDerivation {
        setUp(tree.rootBus)
        return derivation
    }

    /// One PE for a bus; then, bridge by bridge, one PE for everything behind a PCIe-to-PCI bridge, or the same again
    /// for the bus behind any other (pnv_ioda_setup_PEs).
    private mutating func setUp(_ bus: UInt8) {
        makeEndpoint(covering: bus...bus, by: bus == tree.rootBus ? .rootBus(bus) : .bus(bus, segments: []))
        for function in tree.functions(of: bus) {
            guard let below = tree.busesBelow(function) else { continue }
            if function.isPCIeToPCIBridge {
                makeEndpoint(covering: below, by: .allBuses(below, behind: function.address, segments: []))
            } else {
                setUp(below.lowerBound)
            }
        }
    }

    /// The lowest free number, also for a bus without devices.
    private mutating func makeEndpoint(covering buses: ClosedRange<UInt8>, by rule: EndpointRule) {
        // Out of numbers: the functions are in no PE, and the kernel cannot set up their DMA.
        guard next < Self.count else { return }
        let functions = buses.flatMap { tree.functions(of: $0) }
        for function in functions { derivation.endpoints[function.address] = next }
        next += 1
        // A PE of bridges alone has no DMA weight, and gets no group.
        if functions.contains(where: { !$0.isBridge }) { derivation.cells.append(Cell(functions.map(\.address))) }
    }
}
