// What the kernel prints and announces: uevents, mounts, swap areas, routes, the command line, and names of devices.

import Grouping
import Host
import Inventory
import PCI

@testable import LinuxHost

func fuzzKernelText(_ input: UnsafeRawBufferPointer) {
    _ = Uevent(input)?.concernsGroups
    _ = Mount.table(input)
    _ = SwapArea.table(input)
    _ = RouteTable.defaultInterfaces(ofIPv4: input)
    _ = RouteTable.defaultInterfaces(ofIPv6: input)
    let text = String(decoding: input, as: UTF8.self)
    let line = KernelCommandLine(reading: text)
    _ = (line.changesAccessControl, line.accessControlOverride)
    _ = KernelRelease(text)
    if let address = PCIAddress(text) { require(PCIAddress(address.description) == address, "\(address)") }
    if let bridge = HostBridgeID(text) { require(HostBridgeID(bridge.description) == bridge, "\(bridge)") }
    if let slot = Slot.Address(text) { require(Slot.Address(slot.description) == slot, "\(slot)") }
    if let group = GroupID(text) { require(group.text == text && text.utf8.count <= 128, "\(group)") }
    for from in [["bus", "pci", "devices"], []] { _ = SysfsPath(target: text, from: from)?.hostBridge }
}
