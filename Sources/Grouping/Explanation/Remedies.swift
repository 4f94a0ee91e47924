// What would take a group apart, and what would not. People move cards, flash firmware and patch kernels on hearsay: each
// piece of advice here follows from an edge.

import Inventory
import PCI

/// Advice on one group, at most sixteen sentences of each sort.
struct Remedies {
    /// What would take it apart.
    private(set) var splitting: [String] = []
    /// What would not.
    private(set) var futile: [String] = []

    private let explainer: Explainer
    private let members: Set<DeviceAddress>
    private lazy var isolatingPorts = explainer.isolatingPorts(notAbove: members)

    /// The advice that follows from edges.
    init(for edges: [Edge], _ agreement: Explanation.Agreement, of group: Group, by explainer: Explainer) {
        self.explainer = explainer
        members = Set(group.members)
        for edge in edges { add(edge, isWhole: group.backend == .hostBridge) }
    }

    private mutating func add(_ edge: Edge, isWhole: Bool) {
        switch edge.reason {
        case .requesterAlias:
            split("a PCI Express device in a PCI Express slot, instead of one behind \(edge.other)")
            keep("another slot behind \(edge.other), or any setting of ACS: the bridge hides who is behind it")
        case .sharedRequester:
            split("switching Intel VMD off in the firmware for these slots: their devices are then seen as they are")
            keep("another slot that VMD has")
        case .aliasQuirk:
            keep("any slot, firmware or kernel setting: this model uses a foreign requester ID")
        case .ports(let failing):
            if !edge.isCertain { askToRead() }
            for finding in failing { add(finding, under: edge.other) }
        case .functions(let own, let other):
            if !edge.isCertain { askToRead() }
            addFunctions(own, other)
        case .partitionableEndpoint(let rule, _): add(rule, isCertain: edge.isCertain)
        case .hostBridge:
            if explainer.prediction.assumesIOMMU {
                split("\(Advice.switchOnIOMMU); the backend predicted shows what the groups would be then")
            } else if isWhole {
                split("another backend for this host bridge (Backend=auto or kernel): the kernel isolates finer")
            }
        case .kernel: break
        }
    }

    private mutating func add(_ finding: AccessControlFinding, under bridge: DeviceAddress) {
        switch finding.verdict {
        case .notIsolating(.switchedOff(let flags)):
            split(
                "switching on \(flags.names.joined(separator: " ")) of \(finding.function): a firmware switch named ACS or "
                    + "ACS Enable, and no pci=disable_acs_redir= or pci=config_acs= for it; the kernel switches ACS on when "
                    + "it boots with the IOMMU on")
        case .notIsolating(.invalidBusNumberCheckOff):
            split("a kernel that boots with the IOMMU on, which switches on the isolation of \(finding.function)")
        case .notIsolating, .isolating, .unknown: break
        }
        if !finding.verdict.isUnknown { offerPorts() }
        keep("another slot behind \(finding.function), or another driver")
        nameOverride()
    }

    private mutating func addFunctions(_ own: AccessControlFinding, _ other: AccessControlFinding) {
        let functions = [own, other]
        for finding in functions {
            guard let function = explainer.inventory[finding.function]?.pci else { continue }
            if let sriov = function.capabilities.sriov.value, sriov.totalVFs > 0,
                explainer.isIsolatedAbove(finding.function)
            {
                split("virtual functions of \(finding.function) (SR-IOV, \(sriov.totalVFs) at most): each is apart")
            }
            if case .notIsolating(.switchedOff(let flags)) = finding.verdict {
                split(
                    "switching on \(flags.names.joined(separator: " ")) of \(finding.function), by firmware or kernel")
            }
        }
        if functions.contains(where: { $0.kind == .rootPort || $0.kind == .downstreamPort }) { offerPorts() }
        let isInRootComplex = explainer.inventory[own.function]?.pci?.parent == nil
        let slot = own.function.description.dropLast(2)
        keep(
            isInRootComplex
                ? "any slot: the functions of \(slot) sit on the root bus, with no port between them"
                : "another slot for \(slot): its functions are one device, and move together")
        nameOverride()
    }

    private mutating func add(_ rule: EndpointRule, isCertain: Bool) {
        if !isCertain { askToRead() }
        switch rule {
        case .rootBus, .bus, .stated: split("a slot of another bus: every bus is a PE of its own")
        case .allBuses(_, let bridge, _): split("a PCI Express slot, instead of one behind \(bridge)")
        case .window(let node):
            split("a slot that the partition gets with a DMA window of its own, which the hypervisor decides (\(node))")
        case .virtualFunction: break
        }
        keep("ACS, or pcie_acs_override=: on POWER the PE decides, and neither plays a role")
    }

    private mutating func askToRead() {
        split(
            "nothing that is known: first let all of the configuration space be read (as root, on the machine itself)")
    }

    /// Ports that isolate, those with nothing behind them first.
    private mutating func offerPorts() {
        let ports = isolatingPorts
        guard !ports.isEmpty else {
            keep("any other slot of this machine: none of its ports isolates")
            return
        }
        let free = ports.filter { $0.occupant == nil }
        let taken = ports.filter { $0.occupant != nil }
        let named = (free + taken).prefix(3).map {
            "\($0.port) (\($0.occupant?.description ?? "nothing") is behind it now)"
        }
        split("a slot behind another port, one that isolates, such as \(named.joined(separator: ", "))")
    }

    private mutating func nameOverride() {
        keep(
            "pcie_acs_override=, which is in no kernel.org release: the groups would look apart, and the devices could "
                + "still reach each other past the IOMMU, so that a virtual machine with one of them could read and write the "
                + "memory of whoever has the other")
    }

    /// Nobody reads more of a kind: a machine without any ACS is one group with a sentence for every port.
    private static let most = 16

    private mutating func split(_ text: String) { Self.add(text, to: &splitting) }
    private mutating func keep(_ text: String) { Self.add(text, to: &futile) }

    private static func add(_ text: String, to sentences: inout [String]) {
        if sentences.count < most, !sentences.contains(text) { sentences.append(text) }
    }
}

extension Explainer {
    /// Whether every port above a function isolates.
    fileprivate func isIsolatedAbove(_ function: PCIAddress) -> Bool {
        let topology = prediction.topology
        guard let position = topology.positions[function] else { return false }
        return topology.functions[position].ancestors.first.map { topology.isPathIsolating(from: $0) == true } ?? true
    }

    /// The root and downstream ports that isolate what is behind them, in the order of their addresses, each with the
    /// first device behind it. Those of a group, or above its members, lead back to it.
    fileprivate func isolatingPorts(
        notAbove members: Set<DeviceAddress>
    ) -> [(port: PCIAddress, occupant: PCIAddress?)] {
        let topology = prediction.topology
        var above = Set(members.compactMap { $0.pci.flatMap { topology.positions[$0] } })
        for position in above { above.formUnion(topology.functions[position].ancestors) }
        var occupants: [Int: PCIAddress] = [:]
        for function in topology.functions {
            if let port = function.ancestors.first, occupants[port] == nil { occupants[port] = function.address }
        }
        return topology.functions.indices.compactMap { position in
            let finding = topology.functions[position].finding
            guard finding.kind == .rootPort || finding.kind == .downstreamPort, !above.contains(position),
                topology.isPathIsolating(from: position) == true
            else { return nil }
            return (finding.function, occupants[position])
        }.sorted { $0.port < $1.port }
    }
}
