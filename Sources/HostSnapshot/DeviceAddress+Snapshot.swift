// Addresses of devices as snapshots have them, and back.

import GroupAPI
import Host
import Inventory

extension Manager.DeviceAddress {
    init(_ address: DeviceAddress) { self.init(bus: address.bus, name: address.name) }
}

extension DeviceAddress {
    init(_ address: Manager.DeviceAddress) throws(HostError) {
        guard let device = DeviceAddress(bus: address.bus, name: address.name) else {
            throw .badSnapshot(reason: "\"\(address.bus)/\(address.name)\" is no device address")
        }
        self = device
    }
}
