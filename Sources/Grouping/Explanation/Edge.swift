// Why two devices are in one group, as data: an edge is one reason between one pair.

import Inventory
import PCI

/// Two devices that cannot be taken apart, and why.
public struct Edge: Equatable, Sendable {
    /// The device that the question is about: it joined the other's group.
    public var device: DeviceAddress
    /// The device that was there before it.
    public var other: DeviceAddress
    /// Why.
    public var reason: Reason
    /// Whether all that it rests on was read. An edge that is not certain may not be there.
    public var isCertain: Bool

    /// What keeps two devices together.
    public enum Reason: Equatable, Sendable {
        /// `other` is a bridge, and requests of `device` bear its requester ID.
        case requesterAlias(BridgeAlias)
        /// `device` sits behind Intel VMD, the function `other`, and its requests bear that one's ID.
        case sharedRequester
        /// `device` or, where that is another, the function `through` and `other` use each other's requester ID, by a
        /// fault that the kernel knows.
        case aliasQuirk(through: PCIAddress)
        /// `other` is the bridge above `device`, and these of the bridges from there to the root do not isolate.
        case ports([AccessControlFinding])
        /// Both are functions of one slot (`device` itself, or the function that its requests are seen to come from),
        /// and neither isolates.
        case functions(AccessControlFinding, AccessControlFinding)
        /// Both are in one partitionable endpoint; the number where it is known.
        case partitionableEndpoint(EndpointRule, number: Int?)
        /// Both are below one host bridge, and nothing finer is known or wanted.
        case hostBridge(HostBridgeID)
        /// The kernel has both in its group of this number, and no rule says why.
        case kernel(Int)
    }

    public init(device: DeviceAddress, other: DeviceAddress, reason: Reason, isCertain: Bool = true) {
        self.device = device
        self.other = other
        self.reason = reason
        self.isCertain = isCertain
    }
}

/// The rule by which a device is in its partitionable endpoint.
public enum EndpointRule: Equatable, Sendable {
    /// The root bus is one PE.
    case rootBus(UInt8)
    /// A bus is one PE; where its devices lie in the 64-bit window (M64), the segments that they touch give the number.
    case bus(UInt8, segments: [Int])
    /// All buses behind a PCIe-to-PCI bridge are one PE.
    case allBuses(ClosedRange<UInt8>, behind: DeviceAddress, segments: [Int])
    /// A virtual function is a PE of its own.
    case virtualFunction
    /// What lies below the node of the device tree that owns a DMA window.
    case window(node: String)
    /// The platform gives its number, and no more is known.
    case stated
}
