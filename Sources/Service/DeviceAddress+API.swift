// Addresses of devices, in the words of the API and back.

import GroupAPI
import Inventory
import Varlink

extension APIDeviceAddress {
    init(_ address: DeviceAddress) { self.init(bus: address.bus, name: address.name) }
}

extension DeviceAddress {
    /// How long the name of a bus or of a device may be.
    private static let longest = 255

    /// The address that a call gives; nil for one that no device can have.
    ///
    /// - Parameters:
    ///   - address: what the call gives.
    ///   - parameter: where the call gives it.
    /// - Throws: `.invalidParameter` for one that is too long to be repeated in an answer.
    init?(_ address: some APIDeviceAddress, _ parameter: String) throws(ErrorReply) {
        guard address.bus.utf8.count <= Self.longest, address.name.utf8.count <= Self.longest else {
            throw .invalidParameter(parameter)
        }
        self.init(bus: address.bus, name: address.name)
    }
}
