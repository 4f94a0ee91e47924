// PCI Express functions for tests of the rules, in a few words each.

import Inventory
import PCI
import TestSupport

/// What a function's ACS says: the capability register and the control register.
typealias Services = (capability: UInt16, control: UInt16)

/// All that isolation takes, offered and on.
let isolating: Services = (0x1d, 0x1d)

/// A function of this kind (nil for a conventional one); a port or bridge is one with a bus behind it.
func function(
    _ address: String, _ kind: PCIExpress.Kind?, below parent: String? = nil, acs: Services? = nil,
    multifunction: Bool = false, id: UInt32 = 0x1af4_1000, classCode: UInt32? = nil, bridge: Bool? = nil,
    group: Int? = nil, virtual: (physical: String, number: Int)? = nil, ariForwarding: Bool = false
) -> Device {
    let isPort =
        switch kind {
        case .rootPort, .upstreamPort, .downstreamPort, .pcieToPCIBridge, .pciToPCIeBridge: true
        default: false
        }
    var device = pciDevice(address, parent: parent, group: group, isBridge: bridge ?? isPort, virtual: virtual)
    guard var function = device.pci else { return device }
    function.identification.vendorID = UInt16(id >> 16)
    function.identification.deviceID = UInt16(truncatingIfNeeded: id)
    if let classCode { function.identification.classCode = ClassCode(rawValue: classCode) }
    function.capabilities.header = function.capabilities.header.map {
        Header(layout: $0.layout, isMultifunction: multifunction)
    }
    function.capabilities.express =
        kind.map {
            .present(
                PCIExpress(kind: $0, ariForwardingSupported: ariForwarding, ariForwardingEnabled: ariForwarding))
        } ?? .absent
    function.capabilities.acs =
        acs.map { .present(AccessControlServices(capability: $0.capability, control: $0.control)) } ?? .absent
    device.kind = .pci(function)
    return device
}

/// These devices with an IOMMU that is on: each gets a kernel group of its own, so that only the rules group them.
func isolated(_ devices: [Device]) -> [Device] {
    devices.enumerated().map { number, device in
        var device = device
        device.kernelGroup = number
        return device
    }
}
