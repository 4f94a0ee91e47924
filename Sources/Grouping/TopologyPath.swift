// Where a device sits, in terms that do not change when bus numbers do: the host bridge and the device and function
// numbers on the way down. Group identities are made of it.

import Inventory
import PCI

/// The way from a host bridge to a device.
public struct TopologyPath: Hashable, Sendable {
    /// One step down: a device and function number.
    public struct Hop: Hashable, Comparable, Sendable, CustomStringConvertible {
        public var device: UInt8
        public var function: UInt8

        public static func < (a: Hop, b: Hop) -> Bool { (a.device, a.function) < (b.device, b.function) }
        /// `DD.F`, as in an address.
        public var description: String { "\(hexadecimal(device, width: 2)).\(function)" }
    }

    /// The root.
    public var hostBridge: HostBridgeID
    /// The steps from the root bus down. Those of a virtual function are its physical function's.
    public var hops: [Hop]
    /// The number of a virtual function.
    public var virtualFunction: Int?

    /// Longer than any real hierarchy (a domain has 256 buses): a snapshot made by hand may have parents that form a
    /// ring.
    private static let deepest = 256

    /// The path of a PCI function; nil for a device of another bus.
    public init?(_ device: Device, in inventory: Inventory) {
        guard let function = device.pci, let address = device.address.pci else { return nil }
        hostBridge = function.hostBridge
        virtualFunction = function.virtualFunction?.index
        var hops: [Hop] = []
        var next: PCIAddress? = function.virtualFunction?.physicalFunction ?? address
        while let current = next, hops.count < Self.deepest {
            hops.append(Hop(device: current.device, function: current.function))
            next = inventory[current]?.pci?.parent
        }
        self.hops = hops.reversed()
    }
}

extension TopologyPath: Comparable, CustomStringConvertible {
    /// A bridge before what sits behind it, a physical function before its virtual ones.
    public static func < (a: TopologyPath, b: TopologyPath) -> Bool {
        if a.hostBridge != b.hostBridge { return a.hostBridge < b.hostBridge }
        if a.hops != b.hops { return a.hops.lexicographicallyPrecedes(b.hops) }
        return (a.virtualFunction ?? -1) < (b.virtualFunction ?? -1)
    }

    /// `pci0000-00_01.0_00.0`, with `_vfN` for a virtual function.
    public var description: String {
        ([hostBridge.description.replacingColon] + hops.map(\.description)).joined(separator: "_")
            + (virtualFunction.map { "_vf\($0)" } ?? "")
    }
}

extension String {
    /// A host bridge's or device's name without the colons that an identity may not have.
    var replacingColon: String { String(map { $0 == ":" ? "-" : $0 }) }
}
