// Drivers of the simulated kernel: what they bind to, and what they mean for a group.

import Inventory
import PCI

/// A driver that the simulated kernel has, loaded or as a module.
public struct KernelDriver: Equatable, Sendable {
    /// What it means for the group of a device.
    public enum Kind: Equatable, Sendable {
        /// It may do DMA: a group with a device on it cannot be owned.
        case host
        /// Flagged `driver_managed_dma` without being a vfio driver (pcieport, pci-stub).
        case passive
        /// vfio-pci, a variant of it, or the vfio driver of another bus. It takes no device by itself.
        case vfio
    }

    /// A line of its table of devices.
    public enum Match: Equatable, Sendable {
        case address(DeviceAddress)
        case identifier(vendor: UInt16, device: UInt16)
        case virtualFunctions(of: PCIAddress)
    }

    /// As in /sys/bus/BUS/drivers.
    public var name: String
    public var kind: Kind
    /// The devices that it takes when it is loaded, or, of a vfio driver, those that modules.alias names it for.
    public var matches: [Match]
    /// Whether its module is loaded; otherwise it is as good as absent.
    public var isLoaded: Bool
    /// Whether it is a module: one that is part of the kernel shows none in sysfs.
    public var isModule = true
    /// Whether its module is where modprobe finds it.
    public var isInstalled = true
    /// Whether it has the attributes `bind` and `unbind`, which a driver may be without (suppress_bind_attrs).
    public var canBeUnbound = true

    /// A driver; without a kind, the one that its name tells.
    public init(_ name: String, kind: Kind? = nil, matches: [Match] = [], isLoaded: Bool = true) {
        self.name = name
        self.kind = kind ?? Self.kind(of: name)
        self.matches = matches
        self.isLoaded = isLoaded
    }

    private static func kind(of name: String) -> Kind {
        let module = moduleName(name)
        if ["pcieport", "pci_stub"].contains(module) { return .passive }
        let isVFIO = module.hasPrefix("vfio_") || module.hasSuffix("_vfio_pci")
        return isVFIO ? .vfio : .host
    }

    /// Drivers are named with dashes or underscores, their modules always with underscores.
    static func moduleName(_ name: String) -> String { String(name.map { $0 == "-" ? "_" : $0 }) }

    func matches(_ device: Device) -> Bool {
        matches.contains { match in
            switch match {
            case .address(let address): device.address == address
            case .identifier(let vendor, let id):
                device.pci?.identification.vendorID == vendor && device.pci?.identification.deviceID == id
            case .virtualFunctions(let physical): device.pci?.virtualFunction?.physicalFunction == physical
            }
        }
    }
}
