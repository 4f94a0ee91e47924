// The question that decides about groups on a PCI Express machine: does a function keep peers' requests apart? It is the
// kernel's pci_acs_enabled (drivers/pci/pci.c), with the answer "unknown" added where what it asks could not be read.

import Inventory
import PCI

/// Services of Access Control (PCI Express Base Specification section 7.7.11, capability and control register).
public struct AccessControlFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// SV: a request with a foreign requester ID is blocked.
    public static let sourceValidation = AccessControlFlags(rawValue: 0x01)
    /// RR: requests between peers go to the root instead.
    public static let requestRedirect = AccessControlFlags(rawValue: 0x04)
    /// CR: completions between peers go to the root instead.
    public static let completionRedirect = AccessControlFlags(rawValue: 0x08)
    /// UF: what comes from below is forwarded upstream, even to an address of its own.
    public static let upstreamForwarding = AccessControlFlags(rawValue: 0x10)

    /// Those that isolation takes (REQ_ACS_FLAGS, drivers/iommu/iommu.c).
    public static let isolation: AccessControlFlags = [
        .sourceValidation, .requestRedirect, .completionRedirect, .upstreamForwarding,
    ]

    /// The short names of the specification, in the order of the bits: `SV`, `RR`, `CR`, `UF`.
    public var names: [String] {
        let all: [(AccessControlFlags, String)] = [
            (.sourceValidation, "SV"), (.requestRedirect, "RR"), (.completionRedirect, "CR"),
            (.upstreamForwarding, "UF"),
        ]
        return all.filter { contains($0.0) }.map(\.1)
    }
}

/// Whether a function keeps peers' requests apart.
public enum AccessControlVerdict: Equatable, Sendable {
    /// It does.
    case isolating(Ground)
    /// It does not.
    case notIsolating(Lack)
    /// What decides could not be read.
    case unknown(UnknownReason)

    /// Why a function isolates.
    public enum Ground: Equatable, Sendable {
        /// All services that it offers are switched on. One that it does not offer counts as one that it does not need.
        case services(offered: AccessControlFlags)
        /// The kernel would switch on what it offers when the IOMMU is switched on.
        case servicesOnceSwitchedOn(offered: AccessControlFlags)
        /// Its slot has no other function that a request could reach on the way.
        case singleFunction
        /// Virtual functions are kept apart by their device (SR-IOV 1.1, section 2.1).
        case virtualFunction
        /// Its vendor vouches for it, or the kernel knows how it is switched on (drivers/pci/quirks.c).
        case quirk
        /// The kernel asks for nothing: the type of port or device is none that could forward to a peer.
        case otherType
    }

    /// What a function lacks.
    public enum Lack: Equatable, Sendable {
        /// It is a conventional PCI function, which can have no ACS.
        case conventional
        /// It is of a kind that never isolates: a bridge to or from PCI, or an event collector.
        case kind(PCIExpress.Kind)
        /// It has no ACS capability.
        case noCapability
        /// Of the services that it offers, these are not switched on.
        case switchedOff(AccessControlFlags)
        /// The kernel knows that it does not isolate, whatever it says (drivers/pci/quirks.c).
        case quirk
        /// A chipset root port without ACS whose own register was not told to isolate (IRBNCE).
        case invalidBusNumberCheckOff
    }

    /// Whether it is known to isolate.
    public var isIsolating: Bool { if case .isolating = self { true } else { false } }
    /// Whether it is not known.
    public var isUnknown: Bool { if case .unknown = self { true } else { false } }
}

/// The verdict on one function.
public struct AccessControlFinding: Equatable, Sendable {
    /// The function.
    public var function: PCIAddress
    /// What it is on PCI Express; nil for a conventional function, or where that is unknown.
    public var kind: PCIExpress.Kind?
    /// Whether it keeps peers' requests apart.
    public var verdict: AccessControlVerdict

    public init(function: PCIAddress, kind: PCIExpress.Kind?, verdict: AccessControlVerdict) {
        self.function = function
        self.kind = kind
        self.verdict = verdict
    }
}

/// What decides about a function, as far as it is known.
struct AccessControlQuestion {
    var identification: PCIFunction.Identification
    /// The kind after the kernel's repair of port types.
    var kind: Reading<PCIExpress.Kind?>
    /// Whether its slot has several functions.
    var multifunction: Reading<Bool>
    var isVirtual: Bool
    var isOnRootBus: Bool
    var services: Reading<AccessControlServices>
    var invalidBusNumberCheck: Reading<Bool>
    /// Whether the kernel is taken to have switched on all that is offered.
    var assumesSwitchedOn: Bool
    /// Whether the firmware has AMD's IOMMU table (IVRS).
    var hasIVRS: Bool

    /// The answer, in the kernel's order: quirks first, then the kind, then the capability.
    var verdict: AccessControlVerdict {
        if let quirk { return quirk }
        let kind: PCIExpress.Kind?
        switch self.kind {
        case .absent: return .notIsolating(.conventional)
        case .unknown(let reason): return isVirtual ? .isolating(.virtualFunction) : .unknown(reason)
        case .present(let present): kind = present
        }
        switch kind {
        case .pcieToPCIBridge, .pciToPCIeBridge, .rootComplexEventCollector:
            return .notIsolating(kind.map(AccessControlVerdict.Lack.kind) ?? .conventional)
        case .rootPort, .downstreamPort: return capabilityVerdict
        case .endpoint, .legacyEndpoint, .upstreamPort, .rootComplexEndpoint:
            if isVirtual { return .isolating(.virtualFunction) }
            switch multifunction {
            case .present(true): return capabilityVerdict
            case .present(false), .absent: return .isolating(.singleFunction)
            case .unknown(let reason):
                return capabilityVerdict.isIsolating ? capabilityVerdict : .unknown(reason)
            }
        case nil: return .isolating(.otherType)
        }
    }

    private var capabilityVerdict: AccessControlVerdict {
        switch services {
        case .absent: return .notIsolating(.noCapability)
        case .unknown(let reason): return .unknown(reason)
        case .present(let services):
            let offered = AccessControlFlags(rawValue: services.capability).intersection(.isolation)
            let missing = offered.subtracting(AccessControlFlags(rawValue: services.control))
            if missing.isEmpty { return .isolating(.services(offered: offered)) }
            return assumesSwitchedOn
                ? .isolating(.servicesOnceSwitchedOn(offered: offered)) : .notIsolating(.switchedOff(missing))
        }
    }
}
