// Where a function sits that is plugged into a simulated machine: what is above it, and what it cannot be isolated from.

import Inventory
public import PCI

/// A PCI function that a machine does not have yet.
public struct NewFunction: Equatable, Sendable {
    /// What decides its kernel group.
    public enum Position: Equatable, Sendable {
        /// It cannot be isolated from the members of this group; nil: no IOMMU translates for it.
        case inGroup(Int?)
        /// It sits behind this bridge, which isolates it or does not.
        case behind(PCIAddress)
    }

    /// Nothing can be plugged in there; why, in words.
    public struct Misplaced: Error, Equatable {
        /// Why not.
        public var reason: String
    }

    /// Where it sits.
    public var address: PCIAddress
    /// What it is.
    public var identification: PCIFunction.Identification
    /// The host driver that a probe finds for it.
    public var driver: String?

    public init(at address: PCIAddress, _ identification: PCIFunction.Identification, driver: String? = nil) {
        self.address = address
        self.identification = identification
        self.driver = driver
    }

    /// The function as a device of the machine, and where that is plugged in.
    public func placed(
        _ position: Position, in inventory: Inventory
    ) throws(Misplaced) -> (device: Device, place: SimulatedKernel.Place) {
        guard inventory[.pci(address)] == nil else {
            throw Misplaced(reason: "\(address) is there already")
        }
        let above = try surroundings(in: inventory)
        let place: SimulatedKernel.Place
        switch position {
        case .inGroup(let number): place = number.map { .group($0) } ?? .noGroup
        case .behind(let port):
            guard above.parent == port else {
                throw Misplaced(
                    reason: above.parent.map { "what sits at \(address) is behind \($0)" }
                        ?? "what sits at \(address) is behind no bridge")
            }
            place = self.place(behind: port, in: inventory)
        }
        let function = PCIFunction(
            hostBridge: above.hostBridge, parent: above.parent, identification: identification,
            capabilities: FunctionCapabilities(
                header: .present(Header(layout: .endpoint, isMultifunction: address.function > 0)),
                express: .absent, acs: .absent, ari: .absent, sriov: .absent),
            isBridge: false)
        return (Device(address: .pci(address), kind: .pci(function), driver: driver), place)
    }

    /// What leads to the bus: the bridge whose secondary bus it is, or what is above its other functions.
    private func surroundings(
        in inventory: Inventory
    ) throws(Misplaced) -> (hostBridge: HostBridgeID, parent: PCIAddress?) {
        for device in inventory.devices {
            guard let bridge = device.address.pci, let function = device.pci, bridge.domain == address.domain else {
                continue
            }
            if function.capabilities.header.value?.busesBelow?.secondary == address.bus {
                return (function.hostBridge, bridge)
            }
            if bridge.bus == address.bus { return (function.hostBridge, function.parent) }
        }
        throw Misplaced(reason: "no bridge leads to the bus of \(address), and nothing is on it")
    }

    private func place(behind port: PCIAddress, in inventory: Inventory) -> SimulatedKernel.Place {
        let neighbour = inventory.devices.first { $0.pci?.parent == port }
        if let neighbour { return neighbour.kernelGroup.map { .group($0) } ?? .noGroup }
        guard let bridge = inventory[.pci(port)], let number = bridge.kernelGroup else { return .noGroup }
        return bridge.pci?.capabilities.acs.value?.isolates == true ? .newGroup : .group(number)
    }
}

extension AccessControlServices {
    /// Whether all of Source Validation, Request and Completion Redirect and Upstream Forwarding are on that the port
    /// lets be switched; what it does not offer is taken to be on for good, as the kernel does (pci_acs_flags_enabled).
    fileprivate var isolates: Bool { 0x1d & capability & ~control == 0 }
}
