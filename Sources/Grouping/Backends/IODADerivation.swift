// How Linux makes PEs on PHB3 and later, since 5.9 (arch/powerpc/platforms/powernv/pci-ioda.c): one PE for a bus, whose
// number is given by the 64-bit window where its devices lie in that, and counts down from the top otherwise.

import Inventory
import PCI

/// The walk over a host bridge's buses, and the numbers that it hands out.
struct IODADerivation {
    private let numbers: EndpointNumbers
    private let tree: FunctionTree
    private var taken: Set<Int>
    /// The PE of a whole bus; a number that cannot be known is nil.
    private var endpointOfBus: [UInt8: Endpoint] = [:]
    private var members: [Int: [DeviceAddress]] = [:]
    private var derivation = EndpointDerivation()
    private var nextKey = 0

    /// A PE of the walk: its key here, and its number if that can be known.
    private struct Endpoint {
        var key: Int
        var number: Int?
        /// What it covers.
        var rule: EndpointRule
    }

    init(_ numbers: EndpointNumbers, _ tree: FunctionTree) {
        self.numbers = numbers
        self.tree = tree
        taken = [numbers.reserved]
        if let root = Self.rootEndpoint(numbers) { taken.insert(root) }
    }

    /// The PE set aside for the root bus (pnv_pci_init_ioda_phb): next to the reserved one where that is the first or
    /// the last.
    private static func rootEndpoint(_ numbers: EndpointNumbers) -> Int? {
        if numbers.reserved == 0 { return 1 }
        if numbers.reserved == numbers.count - 1 { return numbers.reserved - 1 }
        return nil
    }

    /// Walks the hierarchy as pci_bus_add_devices does: all functions of a bus, then what is below each of its bridges.
    mutating func derive() -> EndpointDerivation {
        walk(tree.rootBus, below: nil)
        for (_, functions) in tree.virtualFunctions { place(virtual: functions) }
        derivation.cells = members.keys.sorted().compactMap { members[$0].map { Cell($0) } }
        return derivation
    }

    private mutating func walk(_ bus: UInt8, below bridge: Device?) {
        let functions = tree.functions(of: bus)
        for function in functions { place(function, on: bus, below: bridge) }
        for function in functions {
            if let below = tree.busesBelow(function) { walk(below.lowerBound, below: function) }
        }
    }

    private mutating func place(_ function: Device, on bus: UInt8, below bridge: Device?) {
        let endpoint = endpointOfBus[bus] ?? makeEndpoint(for: bus, below: bridge)
        if let number = endpoint.number { derivation.endpoints[function.address] = number }
        derivation.rules[function.address] = endpoint.rule
        // A PE gets its group when its first device that is no bridge is set up: bridges before it stay outside.
        if members[endpoint.key] != nil || !function.isBridge {
            members[endpoint.key, default: []].append(function.address)
        }
    }

    /// Makes the PE of a bus; behind a PCIe-to-PCI bridge it covers all buses below (pnv_ioda_setup_bus_PE).
    private mutating func makeEndpoint(for bus: UInt8, below bridge: Device?) -> Endpoint {
        var buses = bus...bus
        let endpoint: Endpoint
        if let bridge, bridge.isPCIeToPCIBridge, let below = tree.busesBelow(bridge) {
            buses = bus...max(bus, below.upperBound)
            endpoint = Endpoint(
                key: nextKey, number: number(for: buses),
                rule: .allBuses(buses, behind: bridge.address, segments: knownSegments(of: buses)))
        } else {
            endpoint = Endpoint(
                key: nextKey, number: number(for: buses),
                rule: bus == tree.rootBus ? .rootBus(bus) : .bus(bus, segments: knownSegments(of: buses)))
        }
        nextKey += 1
        for covered in buses { endpointOfBus[covered] = endpoint }
        return endpoint
    }

    private mutating func number(for buses: ClosedRange<UInt8>) -> Int? {
        if buses.lowerBound == tree.rootBus, let root = Self.rootEndpoint(numbers) { return root }
        switch segments(of: buses) {
        case .unknown: return nil
        case .known(let segments):
            guard let master = segments.min() else { return allocate() }
            // The other segments become its slaves: the same group, and their numbers are gone.
            taken.formUnion(segments)
            return master
        }
    }

    /// The highest free number (pnv_ioda_alloc_pe).
    private mutating func allocate() -> Int? {
        guard let free = (0..<max(0, numbers.count)).last(where: { !taken.contains($0) }) else { return nil }
        taken.insert(free)
        return free
    }

    private enum Segments {
        case known(Set<Int>)
        /// The address ranges of a device could not be read.
        case unknown
    }

    /// The segments of the 64-bit window that BARs and ROMs on these buses touch; bridge windows do not count
    /// (pnv_ioda_reserve_dev_m64_pe).
    private func segments(of buses: ClosedRange<UInt8>) -> Segments {
        guard let window = numbers.window, numbers.count > 0, window.size / UInt64(numbers.count) > 0 else {
            return .known([])
        }
        let size = window.size / UInt64(numbers.count)
        var segments = Set<Int>()
        for bus in buses {
            for function in tree.functions(of: bus) {
                guard let resources = function.pci?.resources else { return .unknown }
                for resource in resources where resource.isAssignedMemory && resource.start >= window.start {
                    let first = (resource.start - window.start) / size
                    let last = (resource.last - window.start) / size
                    guard first < UInt64(numbers.count) else { continue }
                    segments.formUnion(Int(first)...Int(min(last, UInt64(numbers.count - 1))))
                }
            }
        }
        return .known(segments)
    }

    private func knownSegments(of buses: ClosedRange<UInt8>) -> [Int] {
        if case .known(let segments) = segments(of: buses) { segments.sorted() } else { [] }
    }

    /// Virtual functions come last, one PE each, in the highest run of free numbers (pnv_pci_sriov_enable).
    private mutating func place(virtual functions: [Device]) {
        for function in functions {
            members[nextKey] = [function.address]
            derivation.rules[function.address] = .virtualFunction
            nextKey += 1
        }
        let starts = stride(from: numbers.count - functions.count, through: 0, by: -1)
        guard
            let base = starts.first(where: { start in
                (start..<(start + functions.count)).allSatisfy { !taken.contains($0) }
            })
        else { return }
        for (position, function) in functions.enumerated() {
            taken.insert(base + position)
            derivation.endpoints[function.address] = base + position
        }
    }
}
