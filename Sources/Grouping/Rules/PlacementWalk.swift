// One function after the other asks which group it belongs to, as pci_device_group does (drivers/iommu/iommu.c). Where an
// answer on the way is unknown, both ways are followed, and every group that is found on one counts.

import Inventory
import PCI

/// The walk over all functions that get a group.
struct PlacementWalk {
    private let topology: RequesterTopology
    private var edges: [Edge] = []

    /// The function whose turn it is.
    private var current = 0
    /// What was asked before in this turn, so that two ways that meet are one from there on.
    private var asked = Set<Question>()
    /// The functions on the bus that were asked for their group (`devfns`).
    private var visited = Set<Int>()

    private struct Question: Hashable {
        var point: Int
        var bridges: Int
    }

    init(_ topology: RequesterTopology) { self.topology = topology }

    /// The edges by which functions join groups.
    mutating func run() -> [Edge] {
        for position in topology.functions.indices where topology.functions[position].isPlaced {
            current = position
            asked.removeAll(keepingCapacity: true)
            visited.removeAll(keepingCapacity: true)
            place()
        }
        return edges
    }

    private mutating func place() {
        guard let real = topology.functions[current].realRequester, real != current else {
            return alias(current, topology.functions[current].ancestors[...], true)
        }
        if hasGroup(real) { return join(real, .sharedRequester, true) }
        alias(real, topology.functions[real].ancestors[...], true)
    }

    /// Requester aliases on the way to the root: a bridge that stands for what is behind it, and has a group, is the
    /// answer. `point` is where the IOMMU can tell requesters apart as far as is known.
    private mutating func alias(_ point: Int, _ bridges: ArraySlice<Int>, _ isCertain: Bool) {
        guard asked.insert(Question(point: point, bridges: bridges.count)).inserted else { return }
        guard let bridge = bridges.first else { return upward(point, isCertain) }
        let rest = bridges.dropFirst()
        switch topology.functions[bridge].effect {
        case .translationRoot: upward(point, isCertain)
        case .transparent: alias(point, rest, isCertain)
        case .alias(let kind):
            if hasGroup(bridge) {
                join(bridge, .requesterAlias(kind), isCertain)
            } else {
                alias(bridge, rest, isCertain)
            }
        case .unknown:
            if hasGroup(bridge) {
                join(bridge, .requesterAlias(.conventional), false)
            } else {
                alias(bridge, rest, false)
            }
            alias(point, rest, false)
        }
    }

    /// Upwards until every port to the root isolates.
    private mutating func upward(_ point: Int, _ isCertain: Bool) {
        guard asked.insert(Question(point: point, bridges: -1)).inserted else { return }
        guard let bridge = topology.functions[point].ancestors.first else { return sideways(point, isCertain) }
        let isolates = topology.isPathIsolating(from: bridge)
        if isolates == true { return sideways(point, isCertain) }
        let isCertainBelow = isCertain && isolates == false
        if hasGroup(bridge) {
            let failing = topology.path(from: bridge).filter { !$0.verdict.isIsolating }
            join(bridge, .ports(failing), isCertainBelow)
        } else {
            upward(bridge, isCertainBelow)
        }
        if isolates == nil { sideways(point, false) }
    }

    /// Same-bus partners, and functions of the same slot that do not isolate.
    private mutating func sideways(_ point: Int, _ isCertain: Bool) {
        if aliasPartners(point, by: .aliasQuirk(through: address(point)), isCertain) { return }
        _ = siblings(point, isCertain)
    }

    /// The group of a function, or of one that shares requester IDs with it. Whether that ends the turn.
    private mutating func aliasPartners(_ point: Int, by reason: Edge.Reason, _ isCertain: Bool) -> Bool {
        guard visited.insert(point).inserted else { return false }
        if hasGroup(point) {
            join(point, reason, isCertain)
            return isCertain
        }
        for other in topology.neighbours(of: point) {
            let areAliases = topology.areAliases(point, other)
            guard areAliases != false else { continue }
            let isCertain = isCertain && areAliases == true
            if aliasPartners(other, by: .aliasQuirk(through: address(point)), isCertain) { return true }
            if siblings(other, isCertain) { return true }
        }
        return false
    }

    /// The groups of the functions in the slot of a function, where neither isolates. Whether that ends the turn.
    private mutating func siblings(_ point: Int, _ isCertain: Bool) -> Bool {
        let function = topology.functions[point]
        let own = function.finding
        guard function.multifunction.value != false, !own.verdict.isIsolating else { return false }
        let isCertain = isCertain && function.multifunction.value == true && !own.verdict.isUnknown
        for other in topology.siblings(of: point) {
            let finding = topology.functions[other].finding
            guard !finding.verdict.isIsolating else { continue }
            let isCertain = isCertain && !finding.verdict.isUnknown
            if aliasPartners(other, by: .functions(own, finding), isCertain) { return true }
        }
        return false
    }

    private func address(_ position: Int) -> PCIAddress { topology.functions[position].address }

    /// Whether a function has a group when the current one's turn comes.
    private func hasGroup(_ position: Int) -> Bool { position < current && topology.functions[position].isPlaced }

    private mutating func join(_ other: Int, _ reason: Edge.Reason, _ isCertain: Bool) {
        edges.append(
            Edge(
                device: .pci(address(current)), other: .pci(address(other)), reason: reason, isCertain: isCertain))
    }
}
