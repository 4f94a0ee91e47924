// Inventory to groups. Every host bridge's backend says what belongs together; the kernel's groups are laid over it;
// what either puts together stays together. So the result is the finest partition that is coarser than both.

import Inventory
import PCI

/// All groups of a host.
public struct Grouping: Equatable, Sendable {
    /// The groups, in the order of their first members.
    public var groups: [Group] = []
    /// The devices in none, ascending.
    public var ungrouped: [UngroupedDevice] = []
    /// Where a backend and the kernel say different things.
    public var disagreements: [Disagreement] = []
    /// Which backend decided for which host bridge.
    public var choices: [HostBridgeID: BackendChoice] = [:]
    /// The PE numbers of devices, those in no group too.
    public var endpoints: [DeviceAddress: Int] = [:]
    /// Where what a backend derives is not what the platform says.
    public var warnings: [InventoryWarning] = []

    public init() {}

    /// Groups the devices of a host.
    public init(_ inventory: Inventory, policy: BackendPolicy) {
        let devices = inventory.devices
        let index = Dictionary(uniqueKeysWithValues: zip(devices.map(\.address), devices.indices))
        var sets = DisjointSets(count: devices.count)
        var cells: [(backend: BackendName, cell: Cell)] = []
        var leftOutBy: [Int: any Backend] = [:]
        var backends = Backends(for: inventory)

        let byHostBridge = Dictionary(grouping: devices.indices, by: { devices[$0].pci?.hostBridge })
        for area in Self.areas(of: inventory, byHostBridge.keys) {
            let inside = byHostBridge[area?.id, default: []]
            let below = inside.map { devices[$0] }
            let name: BackendName
            if let area {
                let choice = policy.choice(for: area, devices: below, in: inventory)
                choices[area.id] = choice
                name = choice.backend
            } else {
                // Only the kernel says anything about devices of other buses.
                name = .kernel
            }
            let backend = backends[name]
            let partition = backend.partition(of: below, below: area, in: inventory)
            endpoints.merge(partition.endpoints) { first, _ in first }
            warnings += partition.warnings
            for position in inside { leftOutBy[position] = backend }
            for cell in partition.cells {
                cells.append((name, cell))
                let positions = cell.devices.compactMap { index[$0] }
                for position in positions { leftOutBy[position] = nil }
                sets.unite(positions)
            }
        }
        let isolating = devices.indices.filter { inventory.isTranslated(devices[$0]) }
        for members in Dictionary(grouping: isolating, by: { devices[$0].kernelGroup }).values {
            sets.unite(members)
            for position in members { leftOutBy[position] = nil }
        }

        ungrouped = leftOutBy.keys.sorted().map { position in
            let device = devices[position]
            let reason = leftOutBy[position]?.reason(forLeavingOut: device, in: inventory) ?? ""
            return UngroupedDevice(device: device.address, reason: reason)
        }
        let grouped = devices.indices.filter { leftOutBy[$0] == nil }
        var cellsOfSet: [Int: [(backend: BackendName, cell: Cell)]] = [:]
        for entry in cells {
            guard let first = entry.cell.devices.first, let position = index[first] else { continue }
            cellsOfSet[sets.representative(of: position), default: []].append(entry)
        }
        var made: [Made] = []
        for (representative, positions) in Dictionary(grouping: grouped, by: { sets.representative(of: $0) }) {
            let members = positions.map { (order: MemberOrder(devices[$0], inventory), device: devices[$0]) }
                .sorted { $0.order < $1.order }
            guard let first = members.first else { continue }
            let group = Group(members, cells: cellsOfSet[representative] ?? [], in: inventory)
            made.append(Made(order: first.order, group: group, cells: cellsOfSet[representative] ?? []))
        }
        made.sort { $0.order < $1.order }
        Self.nameApart(&made)
        groups = made.map(\.group)
        disagreements = made.compactMap { made in
            Self.disagreement(in: made.group, made.cells).map {
                Disagreement(
                    group: made.group.id, backend: made.group.backend, kernelGroups: made.group.kernelGroups,
                    explanation: $0)
            }
        }
    }

    /// The host bridges, ascending, and nil for the devices below none.
    private static func areas(
        of inventory: Inventory, _ named: some Sequence<HostBridgeID?>
    ) -> [HostBridge?] {
        let known = Set(inventory.hostBridges.map(\.id))
        // A snapshot made by hand may have functions below a host bridge that it does not list.
        let unlisted = Set(named.compactMap { $0 }).subtracting(known).map { HostBridge(id: $0) }
        return (inventory.hostBridges + unlisted).sorted { $0.id < $1.id } + [nil]
    }

    /// A group and what it came from.
    private struct Made {
        var order: MemberOrder
        var group: Group
        var cells: [(backend: BackendName, cell: Cell)]
    }

    /// Two names of other buses may become one identity when what is not allowed is replaced.
    private static func nameApart(_ made: inout [Made]) {
        var taken = Set<GroupID>()
        for position in made.indices {
            let wanted = made[position].group.id
            var number = 2
            while !taken.insert(made[position].group.id).inserted {
                made[position].group.id = wanted.alternative(number)
                number += 1
            }
        }
    }

    private static func disagreement(in group: Group, _ cells: [(backend: BackendName, cell: Cell)]) -> String? {
        // A cell that spans host bridges comes once from each of them.
        let others = Set(cells.filter { $0.backend != .kernel }.map(\.cell.devices))
        let kernel = group.kernelGroups.map(String.init).joined(separator: ", ")
        if others.count > 1 {
            return "kernel group\(group.kernelGroups.count == 1 ? "" : "s") \(kernel) hold together what "
                + "\(group.backend.rawValue) keeps apart as \(others.count) groups"
        }
        if others.count == 1, group.kernelGroups.count > 1 {
            return "\(group.backend.rawValue) holds together what the kernel isolates as kernel groups \(kernel)"
        }
        return nil
    }
}

extension Group {
    fileprivate init(
        _ sorted: [(order: MemberOrder, device: Device)], cells: [(backend: BackendName, cell: Cell)],
        in inventory: Inventory
    ) {
        let members = sorted.map(\.device)
        let hostBridges = Set(members.compactMap { $0.pci?.hostBridge }).sorted()
        let isolation = Isolation(of: members, in: inventory)
        let whole = cells.compactMap(\.cell.wholeHostBridge).min()
        let first = sorted[0].order
        let backend = cells.first { $0.cell.devices.contains(first.address) }?.backend ?? .kernel
        let isPredicted = backend == .predicted || cells.contains { $0.backend == .predicted }
        self.init(
            id: whole.map { GroupID(wholeHostBridge: $0) } ?? first.identity,
            backend: backend,
            hostBridges: hostBridges, kernelGroups: Set(members.compactMap(\.kernelGroup)).sorted(),
            members: members.map(\.address), isolation: isolation,
            claimability: isPredicted
                ? Claimability(ofPredicted: isolation)
                : Claimability(of: members, isolation: isolation, in: inventory))
    }
}

/// The order of members in a group: PCI functions by their topology paths, then other buses by name.
private struct MemberOrder: Comparable {
    let path: TopologyPath?
    let address: DeviceAddress

    init(_ device: Device, _ inventory: Inventory) {
        path = TopologyPath(device, in: inventory)
        address = device.address
    }

    var identity: GroupID { path.map { GroupID($0) } ?? GroupID(bus: address.bus, name: address.name) }

    static func < (a: MemberOrder, b: MemberOrder) -> Bool {
        switch (a.path, b.path) {
        case (let a?, let b?) where a != b: a < b
        case (.some, nil): true
        case (nil, .some): false
        default: a.address < b.address
        }
    }
}
