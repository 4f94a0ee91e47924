// Explanations in words. One sentence an edge, one a finding; names of registers as the PCI Express specification has them.

import Inventory
import PCI

extension Edge {
    /// The reason in a sentence.
    public var sentence: String {
        let may = isCertain ? "" : "possibly: "
        switch reason {
        case .requesterAlias(let alias):
            let what =
                isCertain
                ? "and its requests bear that one's requester ID: the IOMMU cannot tell them apart"
                : "whose kind could not be read; if it is no PCI Express port, requests bear its requester ID"
            return "\(may)\(device) sits behind the \(isCertain ? alias.name : "bridge") \(other), \(what)."
        case .sharedRequester:
            return "\(may)\(device) sits behind Intel VMD, \(other), and all requests from there bear that one's "
                + "requester ID."
        case .aliasQuirk(let through):
            let own = device.pci == through ? "\(device)" : "\(device) is seen as \(through), which"
            return
                "\(may)\(own) and \(other) use each other's requester ID, by a fault of the hardware that the kernel "
                + "knows."
        case .ports(let failing):
            return "\(may)\(device) sits behind \(other), and the way to the root does not isolate: "
                + failing.map(\.phrase).joined(separator: "; ") + "."
        case .functions(let own, let finding):
            let seen = device.pci == own.function ? "" : " (\(device) is seen as \(own.function))"
            return
                "\(may)\(own.function) and \(finding.function) are functions of one slot\(seen), and neither isolates: "
                + "\(own.phrase); \(finding.phrase)."
        case .partitionableEndpoint(let rule, let number):
            let name = number.map { "PE 0x\(hexadecimal(UInt($0)))" } ?? "one PE"
            return "\(may)\(device) and \(other) are in \(name): \(rule.phrase)."
        case .hostBridge(let bridge):
            return
                "\(may)\(device) and \(other) sit below the host bridge \(bridge), and nothing finer is known or wanted."
        case .kernel(let number):
            return
                "\(may)the kernel groups \(device) and \(other) (kernel group \(number)); the reason cannot be derived."
        }
    }
}

extension BridgeAlias {
    fileprivate var name: String {
        switch self {
        case .pcieToPCI: "PCIe-to-PCI bridge"
        case .pciToPCIe: "PCI-to-PCIe bridge"
        case .conventional: "conventional PCI bridge"
        case .hidden: "PCIe-to-PCI bridge (which hides that it is one)"
        }
    }
}

extension EndpointRule {
    fileprivate var phrase: String {
        switch self {
        case .rootBus(let bus): "the root bus \(hexadecimal(bus, width: 2)) is one PE"
        case .bus(let bus, let segments): "bus \(hexadecimal(bus, width: 2)) is one PE\(Self.window(segments))"
        case .allBuses(let buses, let bridge, let segments):
            "all of \(Self.range(buses)) behind the PCIe-to-PCI bridge \(bridge) is one PE\(Self.window(segments))"
        case .virtualFunction: "a virtual function is a PE of its own"
        case .window(let node): "the firmware gives what is below its node \(node) one DMA window"
        case .stated: "the platform says so"
        }
    }

    private static func range(_ buses: ClosedRange<UInt8>) -> String {
        let first = hexadecimal(buses.lowerBound, width: 2)
        return buses.count == 1 ? "bus \(first)" : "the buses \(first) to \(hexadecimal(buses.upperBound, width: 2))"
    }

    private static func window(_ segments: [Int]) -> String {
        guard let first = segments.first else { return "" }
        let names = segments.count == 1 ? "segment" : "segments"
        return ", numbered by the 64-bit window (M64): its devices lie in \(names) "
            + segments.prefix(8).map { "0x" + hexadecimal(UInt($0)) }.joined(separator: ", ")
            + (segments.count > 8 ? ", ..." : "")
            + (segments.count > 1 ? ", of which 0x\(hexadecimal(UInt(first))) is the master" : "")
    }
}

extension PCIExpress.Kind {
    /// The name of the specification.
    var name: String {
        switch self {
        case .endpoint: "endpoint"
        case .legacyEndpoint: "legacy endpoint"
        case .rootPort: "root port"
        case .upstreamPort: "upstream port"
        case .downstreamPort: "downstream port"
        case .pcieToPCIBridge: "PCIe-to-PCI bridge"
        case .pciToPCIeBridge: "PCI-to-PCIe bridge"
        case .rootComplexEndpoint: "root complex endpoint"
        case .rootComplexEventCollector: "root complex event collector"
        }
    }
}

extension AccessControlFinding {
    /// The verdict in a sentence.
    public var sentence: String { phrase + "." }

    /// The verdict as a part of a sentence.
    var phrase: String {
        let name = "\(function)" + (kind.map { " (\($0.name))" } ?? "")
        switch verdict {
        case .isolating(let ground): return "\(name) isolates: \(ground.phrase)"
        case .notIsolating(let lack): return "\(name) \(lack.phrase)"
        case .unknown(let reason): return "\(name) is unknown: \(reason.explanation)"
        }
    }
}

extension AccessControlVerdict.Ground {
    fileprivate var phrase: String {
        switch self {
        case .services(let offered):
            "its ACS has " + Self.list(offered) + " on" + Self.unneeded(offered)
        case .servicesOnceSwitchedOn(let offered):
            "its ACS offers " + Self.list(offered) + ", which the kernel switches on with the IOMMU"
                + Self.unneeded(offered)
        case .singleFunction: "its slot has no other physical function"
        case .virtualFunction: "it is a virtual function, which its device keeps apart from the others"
        case .quirk: "the kernel knows that this model does"
        case .otherType: "the kernel asks for nothing in a function of its type"
        }
    }

    private static func list(_ flags: AccessControlFlags) -> String {
        flags.isEmpty ? "nothing to switch" : flags.names.joined(separator: " ")
    }

    private static func unneeded(_ offered: AccessControlFlags) -> String {
        let others = AccessControlFlags.isolation.subtracting(offered)
        return others.isEmpty
            ? "" : "; \(others.names.joined(separator: " ")), not offered, counts as not needed"
    }
}

extension AccessControlVerdict.Lack {
    fileprivate var phrase: String {
        switch self {
        case .conventional: "is a conventional PCI function, which has no ACS"
        case .kind: "never isolates, being what it is"
        case .noCapability: "has no ACS (SV RR CR UF missing)"
        case .switchedOff(let flags): "has ACS, with \(flags.names.joined(separator: " ")) not switched on"
        case .quirk: "does not isolate, as the kernel knows of this model, whatever its ACS says"
        case .invalidBusNumberCheckOff: "has no ACS, and its own isolation (MPC.IRBNCE) is not switched on"
        }
    }
}

extension Explanation.Agreement {
    /// What is to be said of it; nil where rules and kernel agree.
    var sentence: String? {
        switch self {
        case .confirmed: nil
        case .unconfirmed:
            "The kernel has no IOMMU groups of PCI devices that could confirm this."
        case .kernelCoarser:
            "The kernel groups these; the reason cannot be derived: its rules give smaller groups from what can be read. "
                + "Firmware tables (DMAR, IVRS, IORT) and drivers may say more than sysfs shows, and newer kernels may have "
                + "other rules."
        case .kernelFiner:
            "The kernel takes apart what its rules hold together from what can be read: it knows more than sysfs shows, or "
                + "follows other rules."
        case .uncertain:
            "Not all that decides could be read, so that the rules can neither confirm nor explain the kernel's groups here."
        case .notPredicted:
            "For devices of this bus no rule is known: the firmware's tables decide, and sysfs does not show them."
        }
    }
}

extension KernelCommandLine {
    /// What follows from an override of ACS on the command line; nil without one.
    public var overrideSentence: String? {
        accessControlOverride.map { parameter in
            "The kernel runs with \(parameter): it takes devices for isolated that the hardware may not isolate, and a "
                + "virtual machine that has one of them may reach the others, and the memory of whom they serve, past the "
                + "IOMMU."
        }
    }
}
