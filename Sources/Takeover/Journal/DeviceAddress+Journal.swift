// Addresses of devices as the journal has them, and back.

import Inventory

extension Journal.DeviceAddress {
    init(_ address: DeviceAddress) { self.init(bus: address.bus, name: address.name) }
}

extension DeviceAddress {
    init(_ address: Journal.DeviceAddress) throws(Journal.Unfit) {
        guard let device = DeviceAddress(bus: address.bus, name: address.name) else {
            throw .init(reason: "\(address.bus)/\(address.name) is no device's address")
        }
        self = device
    }
}
