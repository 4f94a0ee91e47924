// Requester IDs that are not a function's own. The IOMMU tells devices apart by the ID in their requests, so that what
// shares one cannot be taken apart (pci_for_each_dma_alias, drivers/pci/search.c; quirks in drivers/pci/quirks.c).

import Inventory
import PCI

/// What a bridge does to the requester IDs of what sits behind it.
public enum BridgeAlias: Equatable, Sendable {
    /// PCI Express to PCI or PCI-X: requests bear the ID of the secondary bus's device 00.0.
    case pcieToPCI
    /// PCI or PCI-X to PCI Express: requests bear the bridge's own ID.
    case pciToPCIe
    /// A conventional bridge: requests bear the bridge's own ID.
    case conventional
    /// A PCI Express to PCI bridge that hides its PCI Express capability (quirk_use_pcie_bridge_dma_alias).
    case hidden
}

/// The effect of a bridge on the way from a function to the root.
enum BridgeEffect: Equatable {
    /// Requests pass as they are.
    case transparent
    /// Requests bear the bridge's ID.
    case alias(BridgeAlias)
    /// The IOMMU sits in this bridge: what is above does not matter.
    case translationRoot
    /// Port or bridge: its PCI Express capability could not be read.
    case unknown

    private static let translationRoots: Set<UInt32> = [0x14e4_9000, 0x14e4_9084]
    private static let hiddenBridges: Set<UInt32> = [
        0x1b21_1080, 0x10e3_8113, 0x1283_8892, 0x1283_8893, 0x8086_244e,
    ]

    /// The effect of a bridge of this kind, below `parent`'s kind; nil for a bridge on the root bus.
    init(
        _ identification: PCIFunction.Identification, kind: Reading<PCIExpress.Kind?>,
        parent: Reading<PCIExpress.Kind?>?
    ) {
        let number = identification.number
        if let number, Self.translationRoots.contains(number) {
            self = .translationRoot
            return
        }
        switch kind {
        case .present(.pcieToPCIBridge): self = .alias(.pcieToPCI)
        case .present(.pciToPCIeBridge): self = .alias(.pciToPCIe)
        case .present: self = .transparent
        case .unknown: self = .unknown
        case .absent:
            guard let number, Self.hiddenBridges.contains(number), case .present(let above)? = parent,
                above != .pcieToPCIBridge
            else {
                self = .alias(.conventional)
                return
            }
            self = .alias(.hidden)
        }
    }
}

/// The IDs on its own bus that a function uses besides its own (dma_alias_mask).
enum AliasMask: Equatable {
    case none
    /// These numbers of device and function.
    case some(Set<UInt8>)
    /// Every one of the bus.
    case all
    /// They stand in the device's memory, where only its driver reads them.
    case unknown

    private static let useFunction0: Set<UInt32> = [0x1180_e832, 0x1180_e476, 0x6766_3d40, 0x6766_3d41]
    private static let useFunction1: Set<UInt32> = [
        0x1b4b_9120, 0x1b4b_9123, 0x1b4b_9125, 0x1b4b_9128, 0x1b4b_9130, 0x1b4b_9170, 0x1b4b_9172, 0x1b4b_917a,
        0x1b4b_9182, 0x1b4b_9183, 0x1b4b_91a0, 0x1b4b_9215, 0x1b4b_9220, 0x1b4b_9230, 0x1b4b_9235, 0x1103_0642,
        0x1103_0645, 0x197b_2392, 0x1c28_0122,
    ]

    /// The mask of a function.
    init(_ identification: PCIFunction.Identification, at address: PCIAddress) {
        guard let number = identification.number else {
            self = .none
            return
        }
        if Self.useFunction0.contains(number), address.function != 0 {
            self = .some([address.function(0).devfn])
            return
        }
        if Self.useFunction1.contains(number), address.function != 1 {
            self = .some([address.function(1).devfn])
            return
        }
        switch number {
        case 0x9005_0285
        where identification.subsystemVendorID == 0x9005
            && (identification.subsystemDeviceID == 0x02bb || identification.subsystemDeviceID == 0x02bc):
            self = .some([0x01 << 3])
        // Intel's MIC x200 and VCA cards: phantom functions of the processors on them.
        case 0x8086_2260, 0x8086_2264: self = .some([0x10 << 3, 0x11 << 3, 0x12 << 3 | 3])
        case 0x8086_2954, 0x8086_2955, 0x8086_2956, 0x8086_2958, 0x8086_2959, 0x8086_295a:
            self = .some(Set((0...0x1f).flatMap { slot in (0...4).map { UInt8(slot << 3 | $0) } }))
        case 0x10b5_87b0, 0x10b5_87b1: self = .all
        // A Switchtec bridge between hosts keeps its table in BAR 0 (quirk_switchtec_ntb_dma_alias).
        case 0x11f8_0000...0x11f8_ffff, 0x1055_1001...0x1055_1006:
            self = identification.classCode.map { $0.base == 0x06 && $0.sub == 0x80 } == true ? .unknown : .none
        default: self = .none
        }
    }

    /// Whether it holds an ID; nil where that is unknown.
    func contains(_ devfn: UInt8) -> Bool? {
        switch self {
        case .none: false
        case .some(let set): set.contains(devfn)
        case .all: true
        case .unknown: nil
        }
    }
}

extension PCIFunction.Identification {
    /// Vendor and device ID in one number.
    fileprivate var number: UInt32? {
        guard let vendorID, let deviceID else { return nil }
        return UInt32(vendorID) << 16 | UInt32(deviceID)
    }
}
