// Why devices share a group, or why two do not: edges, findings, and what follows from them. The kernel's groups are the
// truth; the prediction is what explains them, and where the two differ, that is said.

import Inventory
import PCI

/// The answer about a group, or about two devices.
public struct Explanation: Equatable, Sendable {
    /// What is explained, in one sentence.
    public var summary: String
    /// Whether the devices are in one group.
    public var isTogether: Bool
    /// The groups that it is about: one, or those of two devices.
    public var groups: [GroupID]
    /// Why devices are together: a tree that connects all members of a group, or the way from one device to the other.
    public var edges: [Edge]
    /// What keeps two devices, or a device that is alone, apart from others; the way up from each.
    public var findings: [AccessControlFinding]
    /// How the rules and the kernel's groups compare for these devices.
    public var agreement: Agreement
    /// What would take the devices apart, in sentences; empty where nothing is known that would.
    public var splitting: [String]
    /// What would not, although it is often tried.
    public var futile: [String]
    /// What else is to be known, in sentences.
    public var remarks: [String]

    /// How the rules and the kernel's groups compare.
    public enum Agreement: Equatable, Sendable, CaseIterable {
        /// They say the same.
        case confirmed
        /// The kernel has no groups here: what is shown is what the rules give.
        case unconfirmed
        /// The kernel holds more together than the rules do: the reason cannot be derived.
        case kernelCoarser
        /// The kernel takes apart what the rules hold together.
        case kernelFiner
        /// Something could not be read, so that the rules cannot tell whether these belong together.
        case uncertain
        /// No rule is known for these devices: they are on no PCI bus.
        case notPredicted
    }
}

/// Explains the groups of one host.
public struct Explainer: Sendable {
    let inventory: Inventory
    let prediction: Prediction
    let kernelMembers: [Int: Set<DeviceAddress>]
    /// The devices that are together with others only by what could not be read.
    let uncertain: Set<DeviceAddress>

    /// Follows the rules once; every explanation is made of that.
    public init(_ inventory: Inventory) {
        self.inventory = inventory
        prediction = Prediction(inventory)
        var members: [Int: Set<DeviceAddress>] = [:]
        for device in inventory.devices {
            guard inventory.isTranslated(device), let number = device.kernelGroup else { continue }
            members[number, default: []].insert(device.address)
        }
        kernelMembers = members
        let certainFirst = prediction.edges.filter(\.isCertain) + prediction.edges.filter { !$0.isCertain }
        let possible = Self.forest(certainFirst).filter { !$0.isCertain }
        uncertain = Set(possible.flatMap { [$0.device, $0.other] })
    }

    /// Why the members of a group are together; of a group of one, why it is alone.
    public func explain(_ group: Group) -> Explanation {
        let edges = edges(of: group)
        let agreement = agreement(about: group.members)
        let isAlone = group.members.count == 1
        let findings = isAlone ? group.members.flatMap(barriers) : []
        let summary =
            isAlone
            ? "\(group.members[0]) is alone in its group, \(group.id)."
            : "\(group.id): \(group.members.count) devices that cannot be taken apart."
        let remedies = Remedies(for: edges, agreement, of: group, by: self)
        return Explanation(
            summary: summary, isTogether: true, groups: [group.id], edges: edges, findings: findings,
            agreement: agreement, splitting: remedies.splitting, futile: remedies.futile,
            remarks: remarks(agreement))
    }

    /// Why two devices of one group are together.
    public func explain(_ a: DeviceAddress, _ b: DeviceAddress, in group: Group) -> Explanation {
        let edges = Self.way(from: a, to: b, along: self.edges(of: group))
        let agreement = agreement(about: group.members)
        let remedies = Remedies(for: edges, agreement, of: group, by: self)
        return Explanation(
            summary: a == b
                ? "\(a) is in the group \(group.id)."
                : "\(a) and \(b) are in one group, \(group.id), and go to a virtual machine together.",
            isTogether: true, groups: [group.id], edges: edges, findings: [], agreement: agreement,
            splitting: remedies.splitting, futile: remedies.futile, remarks: remarks(agreement))
    }

    /// Why two devices are apart. A device in no group comes with the reason for that.
    public func explain(
        _ a: DeviceAddress, in first: Group?, apartFrom b: DeviceAddress, in second: Group?,
        reasons: [String]
    ) -> Explanation {
        let members = (first?.members ?? []) + (second?.members ?? [])
        var agreement = agreement(about: members)
        let together = prediction.group(of: a)?.contains(b) == true
        var edges: [Edge] = []
        if together {
            edges = Self.way(
                from: a, to: b, along: Self.forest(prediction.edges.filter(\.isCertain) + prediction.edges))
        } else if agreement != .unconfirmed, agreement != .notPredicted {
            // Other members of the two groups may be odd; these two are not.
            agreement = .confirmed
        }
        var findings: [AccessControlFinding] = []
        for finding in barriers(of: a) + barriers(of: b) where !findings.contains(finding) {
            // What does not isolate keeps nobody apart: it explains other edges than those that are not here.
            if finding.verdict.isIsolating || finding.verdict.isUnknown { findings.append(finding) }
        }
        let places = [(a, first), (b, second)].map { device, group in
            group.map { "\(device) is in the group \($0.id)" } ?? "\(device) is in no group"
        }
        var remarks = reasons + remarks(agreement)
        if let roots = differentRoots(a, b), !together { remarks.insert(roots, at: 0) }
        return Explanation(
            summary: "\(places[0]), and \(places[1]).", isTogether: false,
            groups: [first?.id, second?.id].compactMap { $0 }, edges: edges, findings: together ? [] : findings,
            agreement: agreement, splitting: [], futile: [], remarks: remarks)
    }

    /// That two devices have nothing in common but the root; nil where they have.
    private func differentRoots(_ a: DeviceAddress, _ b: DeviceAddress) -> String? {
        guard let first = inventory[a]?.pci?.hostBridge, let second = inventory[b]?.pci?.hostBridge else { return nil }
        guard first == second else { return "They sit below different host bridges, \(first) and \(second)." }
        guard let top = top(of: a), let other = self.top(of: b), top.device != other.device else { return nil }
        return "Their ways meet at the root bus alone, in different slots of it, which the kernel takes for apart."
    }

    /// The function on the root bus that a device is, or sits behind.
    private func top(of device: DeviceAddress) -> PCIAddress? {
        let topology = prediction.topology
        guard let position = device.pci.flatMap({ topology.positions[$0] }) else { return nil }
        return topology.functions[topology.functions[position].ancestors.last ?? position].address
    }

    /// What is to be said about the host and its kernel.
    private func remarks(_ agreement: Explanation.Agreement) -> [String] {
        var remarks = [agreement.sentence].compactMap { $0 }
        if let sentence = inventory.commandLine?.overrideSentence { remarks.append(sentence) }
        if prediction.assumesIOMMU, inventory.commandLine?.changesAccessControl == true {
            remarks.append(
                "The kernel's command line changes what ports isolate (pci=), so that control bits are taken as they "
                    + "are now, and not as they would be with the IOMMU on.")
        }
        return remarks
    }
}
