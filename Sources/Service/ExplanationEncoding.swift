// Explanations as the API shows them: every case of an enum as its name, and what it carries beside it.

import GroupAPI
import Grouping
import Inventory
import PCI

extension Groups.Explain.Reply {
    init(_ explanation: Explanation) {
        self.init(
            summary: explanation.summary, together: explanation.isTogether, groups: explanation.groups.map(\.text),
            edges: explanation.edges.map(Groups.Edge.init), findings: explanation.findings.map(Groups.Finding.init),
            agreement: .init(explanation.agreement), splitting: explanation.splitting, futile: explanation.futile,
            remarks: explanation.remarks)
    }
}

extension Groups.Edge {
    init(_ edge: Edge) {
        self.init(
            device: .init(edge.device), other: .init(edge.other), reason: .kernel, certain: edge.isCertain,
            findings: [], sentence: edge.sentence)
        switch edge.reason {
        case .requesterAlias(let alias):
            reason = .requesterAlias
            // Without its capability the kind of the bridge is a guess.
            self.alias = edge.isCertain ? .init(alias) : nil
        case .sharedRequester: reason = .sharedRequester
        case .aliasQuirk(let through):
            reason = .aliasQuirk
            note(through, for: edge)
        case .ports(let failing):
            reason = .ports
            findings = failing.map(Groups.Finding.init)
        case .functions(let own, let other):
            reason = .functions
            findings = [.init(own), .init(other)]
            note(own.function, for: edge)
        case .partitionableEndpoint(let rule, let number):
            reason = .partitionableEndpoint
            partitionableEndpoint = number
            take(rule)
        case .hostBridge(let bridge):
            reason = .hostBridge
            hostBridge = bridge.description
        case .kernel(let number):
            reason = .kernel
            kernelGroup = number
        }
    }

    private mutating func note(_ seen: PCIAddress, for edge: Edge) {
        if edge.device.pci != seen { through = .init(.pci(seen)) }
    }

    private mutating func take(_ rule: EndpointRule) {
        switch rule {
        case .rootBus: endpointRule = .rootBus
        case .bus(_, let segments):
            endpointRule = .bus
            self.segments = segments.isEmpty ? nil : segments
        case .allBuses(_, let bridge, let segments):
            endpointRule = .allBuses
            self.segments = segments.isEmpty ? nil : segments
            through = .init(bridge)
        case .virtualFunction: endpointRule = .virtualFunction
        case .window: endpointRule = .window
        case .stated: endpointRule = .stated
        }
    }
}

extension Groups.Finding {
    init(_ finding: AccessControlFinding) {
        self.init(
            device: .init(.pci(finding.function)), expressType: finding.kind.map { .init($0) }, kind: .unknown,
            sentence: finding.sentence)
        switch finding.verdict {
        case .isolating(let ground):
            isolating = true
            switch ground {
            case .services(let offered): (kind, services) = (.servicesOn, Self.services(offered))
            case .servicesOnceSwitchedOn(let offered): (kind, services) = (.servicesOnceOn, Self.services(offered))
            case .singleFunction: kind = .singleFunction
            case .virtualFunction: kind = .virtualFunction
            case .quirk: kind = .knownGood
            case .otherType: kind = .otherType
            }
        case .notIsolating(let lack):
            isolating = false
            switch lack {
            case .conventional: kind = .conventional
            case .kind: kind = .bridgeType
            case .noCapability: kind = .noCapability
            case .switchedOff(let missing): (kind, services) = (.servicesOff, Self.services(missing))
            case .quirk: kind = .knownBad
            case .invalidBusNumberCheckOff: kind = .chipsetOff
            }
        case .unknown: break
        }
    }

    private static func services(_ flags: AccessControlFlags) -> [Groups.AccessControlService] {
        let all: [(AccessControlFlags, Groups.AccessControlService)] = [
            (.sourceValidation, .sourceValidation), (.requestRedirect, .requestRedirect),
            (.completionRedirect, .completionRedirect), (.upstreamForwarding, .upstreamForwarding),
        ]
        return all.filter { flags.contains($0.0) }.map(\.1)
    }
}

extension Groups.BridgeAlias {
    fileprivate init(_ alias: BridgeAlias) {
        switch alias {
        case .pcieToPCI: self = .pcieToPci
        case .pciToPCIe: self = .pciToPcie
        case .conventional: self = .conventional
        case .hidden: self = .hidden
        }
    }
}

extension Groups.Agreement {
    fileprivate init(_ agreement: Explanation.Agreement) {
        switch agreement {
        case .confirmed: self = .confirmed
        case .unconfirmed: self = .unconfirmed
        case .kernelCoarser: self = .kernelCoarser
        case .kernelFiner: self = .kernelFiner
        case .uncertain: self = .uncertain
        case .notPredicted: self = .notPredicted
        }
    }
}
