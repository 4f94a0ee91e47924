// The PCI functions of a host as the kernel's grouping sees them: in the order in which they are placed, each with the
// bridges above it, its neighbours on the bus, and the verdicts on it.

import Inventory
import PCI

/// What the prediction walks over. A function is named by its position in `functions`, which is its turn.
struct RequesterTopology {
    struct Function {
        var address: PCIAddress
        /// Whether an IOMMU translates for it, so that it gets a group.
        var isPlaced: Bool
        var isVirtual: Bool
        /// The bridges above it, the nearest first.
        var ancestors: [Int]
        /// Set where requests bear another function's ID: behind Intel VMD, the VMD function's.
        var realRequester: Int?
        var aliases: AliasMask
        var multifunction: Reading<Bool>
        var finding: AccessControlFinding
        /// What it does to the requester IDs of what is behind it.
        var effect: BridgeEffect
    }

    private(set) var functions: [Function] = []
    private(set) var positions: [PCIAddress: Int] = [:]
    private var buses: [Bus: [Int]] = [:]

    private struct Bus: Hashable {
        var domain: UInt32
        var number: UInt8
    }

    /// A domain has 256 buses; a snapshot made by hand may have bridges that form a ring.
    private static let deepest = 256

    /// The functions of these devices. `assumesIOMMU`: none is switched on, and the answers are wanted as if it were.
    init(_ devices: [Device], in inventory: Inventory, assumesIOMMU: Bool, isPlaced: (Device) -> Bool) {
        let roots = Dictionary(inventory.hostBridges.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let sorted = devices.compactMap { device -> Turn? in Turn(device, in: inventory, roots) }.sorted()
        for (position, turn) in sorted.enumerated() { positions[turn.address] = position }
        let assumesSwitchedOn = assumesIOMMU && inventory.commandLine?.changesAccessControl != true
        let hasIVRS = inventory.hasIVRS
        var kinds: [Reading<PCIExpress.Kind?>] = []
        for turn in sorted {
            let address = turn.address
            // Ancestors come first, so that their kinds are known.
            let ancestors = turn.ancestors.compactMap { positions[$0] }
            let parent = ancestors.first.flatMap { kinds.indices.contains($0) ? kinds[$0] : nil }
            let parentPort = ancestors.first.flatMap { inventory[sorted[$0].address]?.pci }
            let function = turn.function
            let kind = Self.kind(of: function, below: parent)
            kinds.append(kind)
            let multifunction = Self.multifunction(function, at: address, below: parent, parentPort)
            let question = AccessControlQuestion(
                identification: function.identification, kind: kind, multifunction: multifunction,
                isVirtual: function.virtualFunction != nil, isOnRootBus: turn.ancestors.isEmpty,
                services: function.capabilities.acs,
                invalidBusNumberCheck: function.capabilities.invalidBusNumberCheck,
                assumesSwitchedOn: assumesSwitchedOn, hasIVRS: hasIVRS || assumesIOMMU)
            functions.append(
                Function(
                    address: address, isPlaced: isPlaced(turn.device), isVirtual: function.virtualFunction != nil,
                    ancestors: ancestors,
                    realRequester: roots[function.hostBridge]?.realRequester.flatMap { positions[$0] },
                    aliases: AliasMask(function.identification, at: address), multifunction: multifunction,
                    finding: AccessControlFinding(
                        function: address, kind: kind.value ?? nil, verdict: question.verdict),
                    effect: BridgeEffect(function.identification, kind: kind, parent: parent)))
            buses[Bus(domain: address.domain, number: address.bus), default: []].append(functions.count - 1)
        }
    }

    /// The other functions on the bus of a function.
    func neighbours(of position: Int) -> [Int] {
        let address = functions[position].address
        return buses[Bus(domain: address.domain, number: address.bus), default: []].filter { $0 != position }
    }

    /// The other functions in the slot of a function.
    func siblings(of position: Int) -> [Int] {
        neighbours(of: position).filter { functions[$0].address.device == functions[position].address.device }
    }

    /// Whether one uses an ID of the other; nil where that is unknown (pci_devs_are_dma_aliases).
    func areAliases(_ a: Int, _ b: Int) -> Bool? {
        let (first, second) = (functions[a], functions[b])
        let relations = [
            first.aliases.contains(second.address.devfn), second.aliases.contains(first.address.devfn),
        ]
        return relations.contains(true) ? true : relations.contains(nil) ? nil : false
    }

    /// Whether a bridge and every bridge above it isolates; nil where that is unknown (pci_acs_path_enabled).
    func isPathIsolating(from bridge: Int) -> Bool? {
        let verdicts = path(from: bridge).map(\.verdict)
        if verdicts.contains(where: { !$0.isIsolating && !$0.isUnknown }) { return false }
        return verdicts.contains(where: \.isUnknown) ? nil : true
    }

    /// The findings on a bridge and every bridge above it.
    func path(from bridge: Int) -> [AccessControlFinding] {
        ([bridge] + functions[bridge].ancestors).map { functions[$0].finding }
    }
}

extension RequesterTopology {
    /// A function and when its turn comes: bridges before what is behind them, virtual functions last, because they are
    /// made later.
    private struct Turn: Comparable {
        let device: Device
        let function: PCIFunction
        let address: PCIAddress
        let ancestors: [PCIAddress]
        let isNested: Bool

        init?(_ device: Device, in inventory: Inventory, _ roots: [HostBridgeID: HostBridge]) {
            guard let function = device.pci, let address = device.address.pci else { return nil }
            self.device = device
            self.function = function
            self.address = address
            isNested = roots[function.hostBridge]?.parent != nil
            var ancestors: [PCIAddress] = []
            var next = function.parent
            while let current = next, ancestors.count < RequesterTopology.deepest, current != address,
                let bridge = inventory[current]?.pci
            {
                ancestors.append(current)
                next = bridge.parent
            }
            self.ancestors = ancestors
        }

        private var key: (Int, Int, Int) {
            (function.virtualFunction == nil ? 0 : 1, isNested ? 1 : 0, ancestors.count)
        }

        static func < (a: Turn, b: Turn) -> Bool { a.key == b.key ? a.address < b.address : a.key < b.key }
        static func == (a: Turn, b: Turn) -> Bool { a.address == b.address }
    }

    /// The kind of a port after the kernel's repair: impossible ones are taken for what they must be
    /// (set_pcie_port_type, drivers/pci/probe.c). Present nil is a kind that the specification reserves.
    private static func kind(
        of function: PCIFunction, below parent: Reading<PCIExpress.Kind?>?
    ) -> Reading<PCIExpress.Kind?> {
        let kind = function.capabilities.express.map(\.kind)
        guard case .present(let above)? = parent else { return kind }
        switch (kind, above) {
        case (.present(.downstreamPort), .rootPort), (.present(.downstreamPort), .downstreamPort),
            (.present(.downstreamPort), .pciToPCIeBridge):
            return .present(.upstreamPort)
        case (.present(.upstreamPort), .upstreamPort): return .present(.downstreamPort)
        default: return kind
        }
    }

    /// Whether a slot has several functions, as pci_scan_slot notes it (drivers/pci/probe.c): every function but the
    /// first that was looked for, which with ARI is every one but 00.0.
    private static func multifunction(
        _ function: PCIFunction, at address: PCIAddress, below parent: Reading<PCIExpress.Kind?>?, _ port: PCIFunction?
    ) -> Reading<Bool> {
        if function.virtualFunction != nil { return .present(false) }
        if address.function > 0 { return .present(true) }
        let header = function.capabilities.header.map(\.isMultifunction)
        guard address.device > 0, header.value != true, let parent, let port else { return header }
        switch parent {
        case .present(.rootPort), .present(.downstreamPort):
            switch port.capabilities.express.value?.ariForwardingEnabled {
            case true?: return .present(true)
            case false?: return header
            case nil: return .unknown(.unreadable)
            }
        case .present, .absent: return header
        case .unknown(let reason): return .unknown(reason)
        }
    }
}

extension HostBridge {
    /// The function whose requester ID all devices below use: Intel VMD's, whose domains are above the 16 bits of real
    /// ones (pci_real_dma_dev, arch/x86/pci/common.c).
    fileprivate var realRequester: PCIAddress? { id.domain > 0xffff ? parent : nil }
}

extension Inventory {
    /// Whether AMD's IOMMU is there, and so the firmware's table for it.
    fileprivate var hasIVRS: Bool {
        devices.contains { device in
            device.iommu?.hasPrefix("ivhd") == true
                || (device.pci?.identification.vendorID == 0x1022
                    && device.pci?.identification.classCode?.isIOMMU == true)
        }
    }
}

extension ClassCode {
    /// An IOMMU that is a PCI function, as AMD's is.
    var isIOMMU: Bool { self == ClassCode(rawValue: 0x080600) }
}
