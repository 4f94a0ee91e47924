// Which driver has a device, as far as that is seen without waiting for anything.

import Inventory

/// The `driver` link of a device. It goes as soon as an unbind or a removal begins, on every kernel, however long that then
/// waits for who has the device open (seen on 6.1 and 6.12), and reading it takes no lock of the device.
public enum DriverLink: Equatable, Sendable {
    case driver(String)
    /// No driver, or one that is about to leave.
    case driverless
    case noDevice
}

extension DriverLink {
    /// The link of a device that is there; nil for one without a driver.
    public init(to driver: String?) { self = driver.map { .driver($0) } ?? .driverless }

    /// The link as it was when the inventory was read; nil for a device that it does not have.
    public init(of device: Device?) {
        self = device.map { DriverLink(to: $0.driver) } ?? .noDevice
    }
}
