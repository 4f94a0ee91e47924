// How a device is named across the whole machine: by its bus and by its name on that bus.

import PCI

/// The address of a device: the folder /sys/bus/BUS/devices/NAME.
public enum DeviceAddress: Hashable, Sendable {
    /// A PCI function.
    case pci(PCIAddress)
    /// A device of another bus that an IOMMU may translate for: platform, fsl-mc, ap, ccw, mdev, ... Indirect, because
    /// it is the rare one, and would make every address, key and table four times as large.
    indirect case other(bus: String, name: String)

    /// The address with this bus and name; nil for a PCI name that is no PCI address, or where either is empty.
    public init?(bus: String, name: String) {
        guard !bus.isEmpty, !name.isEmpty else { return nil }
        if bus == "pci" {
            guard let address = PCIAddress(name) else { return nil }
            self = .pci(address)
        } else {
            self = .other(bus: bus, name: name)
        }
    }

    /// The name of the bus, as in /sys/bus.
    public var bus: String {
        switch self {
        case .pci: "pci"
        case .other(let bus, _): bus
        }
    }

    /// The name on the bus.
    public var name: String {
        switch self {
        case .pci(let address): address.description
        case .other(_, let name): name
        }
    }

    /// The PCI address, if it is one.
    public var pci: PCIAddress? { if case .pci(let address) = self { address } else { nil } }
}

extension DeviceAddress: Comparable, CustomStringConvertible {
    /// PCI functions first, in the kernel's order; then by bus and name.
    public static func < (a: DeviceAddress, b: DeviceAddress) -> Bool {
        switch (a, b) {
        case (.pci(let a), .pci(let b)): a < b
        case (.pci, .other): true
        case (.other, .pci): false
        case (.other(let busA, let nameA), .other(let busB, let nameB)): (busA, nameA) < (busB, nameB)
        }
    }

    /// A PCI address alone, or `BUS/NAME`.
    public var description: String {
        switch self {
        case .pci(let address): address.description
        case .other(let bus, let name): "\(bus)/\(name)"
        }
    }
}
