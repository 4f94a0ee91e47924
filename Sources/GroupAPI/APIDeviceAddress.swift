// The address of a device, as all interfaces have it. Each defines a type of its own, since interfaces cannot share
// one; the types are alike, and so is what is done with them.

public import Varlink

/// An interface's type for the address of a device: the folder /sys/bus/BUS/devices/NAME.
public protocol APIDeviceAddress: VarlinkValue {
    /// The name of the bus, as in /sys/bus.
    var bus: String { get }
    /// The name on the bus.
    var name: String { get }

    init(bus: String, name: String)
}

extension Claims.DeviceAddress: APIDeviceAddress {}
extension Groups.DeviceAddress: APIDeviceAddress {}
extension Manager.DeviceAddress: APIDeviceAddress {}
extension Simulation.DeviceAddress: APIDeviceAddress {}

extension APIDeviceAddress {
    /// A PCI address alone, or `BUS/NAME`.
    public var text: String { bus == "pci" ? name : "\(bus)/\(name)" }

    /// The address of this `text`.
    public init(text: String) {
        let parts = text.split(separator: "/", maxSplits: 1).map(String.init)
        if parts.count == 2 {
            self.init(bus: parts[0], name: parts[1])
        } else {
            self.init(bus: "pci", name: text)
        }
    }
}
