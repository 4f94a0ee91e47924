// What a reset of a bus or a slot takes along: the reset set, which is not the group. The bridge above resets all that is
// below it (pci_bridge_secondary_bus_reset, drivers/pci/pci.c); a hotplug driver resets a slot (pci_slot_reset).

import Grouping
import Inventory
import PCI

/// What one reset reaches.
public struct ResetScope: Equatable, Sendable {
    /// The name of the bus, `DDDD:BB`, or of the slot.
    public var name: String
    /// The devices, ascending; the one that it was asked of too.
    public var devices: [DeviceAddress]
    /// Their groups, in the order of the devices.
    public var groups: [GroupID]
}

/// How far resets of a device reach.
public struct ResetReach: Equatable, Sendable {
    /// The device.
    public var device: DeviceAddress
    /// What a reset of its bus reaches; nil on a root bus, which no bridge resets.
    public var bus: ResetScope?
    /// What a reset of its slot reaches; nil where it is in none.
    public var slot: ResetScope?
}

extension Snapshot {
    /// How far resets of these devices reach.
    public func resetReach(of devices: [DeviceAddress]) -> [ResetReach] {
        // By the bridge above; a virtual function lies where its physical function does.
        var below: [PCIAddress: [PCIAddress]] = [:]
        var virtual: [PCIAddress: [PCIAddress]] = [:]
        for device in inventory.devices {
            guard let address = device.address.pci, let function = device.pci else { continue }
            if let physical = function.virtualFunction?.physicalFunction {
                virtual[physical, default: []].append(address)
            } else if let parent = function.parent {
                below[parent, default: []].append(address)
            }
        }
        /// These functions, their virtual functions, and all that is behind them.
        func scope(_ name: String, _ functions: [PCIAddress]) -> ResetScope {
            var reached: Set<PCIAddress> = []
            var rest = functions
            while let next = rest.popLast() {
                // A snapshot made by hand may have bridges that form a ring.
                guard reached.insert(next).inserted else { continue }
                rest += below[next, default: []] + virtual[next, default: []]
            }
            let devices = reached.sorted().map { DeviceAddress.pci($0) }
            var groups: [GroupID] = []
            for device in devices {
                if let id = group(of: device)?.id, !groups.contains(id) { groups.append(id) }
            }
            return ResetScope(name: name, devices: devices, groups: groups)
        }
        return devices.map { address in
            var reach = ResetReach(device: address)
            guard let device = inventory[address], let function = device.pci, let own = address.pci else {
                return reach
            }
            let position = function.virtualFunction?.physicalFunction ?? own
            if let parent = inventory[position]?.pci?.parent ?? function.parent {
                reach.bus = scope(
                    hexadecimal(position.domain, width: 4) + ":" + hexadecimal(position.bus, width: 2),
                    below[parent, default: []])
            }
            if let slot = inventory.slots.first(where: { $0.address.holds(position) }) {
                let inside = inventory.devices.compactMap { $0.pci?.virtualFunction == nil ? $0.address.pci : nil }
                    .filter(slot.address.holds)
                reach.slot = scope(slot.name, inside)
            }
            return reach
        }
    }
}
