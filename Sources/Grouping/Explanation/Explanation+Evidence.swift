// What an explanation is made of: the edges that connect a group, the ports that keep a device apart, and the comparison
// of the rules with the kernel's groups.

import Inventory
import PCI

extension Explainer {
    /// A tree of edges that connects the members of a group. Certain reasons come before possible ones, rules before
    /// the kernel's bare word.
    func edges(of group: Group) -> [Edge] {
        let members = Set(group.members)
        var candidates: [Edge] = []
        if group.backend == .hostBridge {
            for bridge in group.hostBridges {
                let below = group.members.filter { inventory[$0]?.pci?.hostBridge == bridge }
                candidates += Prediction.star(below) { _ in .hostBridge(bridge) }
            }
        }
        let predicted = prediction.edges.filter { edge in
            guard members.contains(edge.device), members.contains(edge.other) else { return false }
            // "Nothing finer is known" is no reason for a group of the kernel's.
            if case .hostBridge = edge.reason { return false }
            return true
        }
        candidates += predicted.filter(\.isCertain)
        candidates += statedEndpoints(of: group)
        candidates += predicted.filter { !$0.isCertain }
        let byKernelGroup = Dictionary(grouping: group.members) { inventory[$0]?.kernelGroup }
        for number in group.kernelGroups {
            candidates += Prediction.star(byKernelGroup[number] ?? []) { _ in .kernel(number) }
        }
        for bridge in group.hostBridges where group.kernelGroups.isEmpty || group.backend == .predicted {
            let below = group.members.filter { inventory[$0]?.pci?.hostBridge == bridge }
            candidates += Prediction.star(below) { _ in .hostBridge(bridge) }
        }
        return Self.forest(candidates)
    }

    /// Edges between members that the platform itself puts in one PE.
    private func statedEndpoints(of group: Group) -> [Edge] {
        let numbered = group.members.compactMap { address -> (DeviceAddress, Int)? in
            inventory[address].flatMap { inventory.statedEndpoint(of: $0) }.map { (address, $0) }
        }
        return Dictionary(grouping: numbered, by: \.1).sorted { $0.key < $1.key }.flatMap { number, members in
            Prediction.star(members.map(\.0)) { _ in .partitionableEndpoint(.stated, number: number) }
        }
    }

    /// The edges that connect something that those before did not.
    static func forest(_ edges: [Edge]) -> [Edge] {
        var index: [DeviceAddress: Int] = [:]
        for edge in edges {
            for device in [edge.device, edge.other] where index[device] == nil { index[device] = index.count }
        }
        var sets = DisjointSets(count: index.count)
        return edges.filter { edge in
            guard let a = index[edge.device], let b = index[edge.other],
                sets.representative(of: a) != sets.representative(of: b)
            else { return false }
            sets.unite([a, b])
            return true
        }
    }

    /// The way from one device to another along a tree.
    static func way(from a: DeviceAddress, to b: DeviceAddress, along edges: [Edge]) -> [Edge] {
        var around: [DeviceAddress: [Int]] = [:]
        for (number, edge) in edges.enumerated() {
            around[edge.device, default: []].append(number)
            around[edge.other, default: []].append(number)
        }
        var cameBy: [DeviceAddress: (edge: Int, from: DeviceAddress)] = [:]
        var frontier = [a]
        while let current = frontier.popLast(), current != b {
            for number in around[current, default: []] {
                let next = edges[number].device == current ? edges[number].other : edges[number].device
                guard next != a, cameBy[next] == nil else { continue }
                cameBy[next] = (number, current)
                frontier.append(next)
            }
        }
        var way: [Edge] = []
        var current = b
        while current != a, let step = cameBy[current] {
            way.append(edges[step.edge])
            current = step.from
        }
        return way.reversed()
    }

    /// What keeps a device apart: itself among the functions of its slot, and every port up to the root.
    func barriers(of device: DeviceAddress) -> [AccessControlFinding] {
        guard let address = device.pci, let position = prediction.topology.positions[address] else { return [] }
        let function = prediction.topology.functions[position]
        var findings: [AccessControlFinding] = []
        if function.isVirtual || !prediction.topology.siblings(of: position).isEmpty {
            findings.append(function.finding)
        }
        if let bridge = function.ancestors.first { findings += prediction.topology.path(from: bridge) }
        return findings
    }

    /// How the rules and the kernel compare for these devices and all that are grouped with them.
    func agreement(about members: [DeviceAddress]) -> Explanation.Agreement {
        guard members.contains(where: { $0.pci != nil }) else { return .notPredicted }
        if prediction.assumesIOMMU { return .unconfirmed }
        let numbers = Set(members.compactMap { inventory[$0]?.kernelGroup })
        let kernel = Set(numbers.compactMap { kernelMembers[$0] })
        let predicted = Set(members.compactMap { prediction.group(of: $0).map(Set.init) })
        let touched = predicted.reduce(into: Set<DeviceAddress>()) { $0.formUnion($1) }
        if kernel == predicted { return touched.isDisjoint(with: uncertain) ? .confirmed : .uncertain }
        if kernel.contains(where: { group in !predicted.contains { $0.isSuperset(of: group) } }) {
            return .kernelCoarser
        }
        return touched.isDisjoint(with: uncertain) ? .kernelFiner : .uncertain
    }
}
