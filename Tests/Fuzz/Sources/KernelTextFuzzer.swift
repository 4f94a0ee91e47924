// What the kernel and its tools print and announce: uevents, mounts, swap areas, answers about routes, the command line, what
// uses devices, and names of devices.

import Grouping
import Host
import Inventory
import PCI

@testable import LinuxHost

func fuzzKernelText(_ input: UnsafeRawBufferPointer) {
    _ = Uevent(input)?.concernsGroups
    _ = Mount.table(input)
    _ = SwapArea.table(input)
    let questions = RoutingQuestion.all(interfaces: [1, 2], servers: [])
    _ = RoutingAnswer(questions, NetlinkMessage.all(in: Array(input)))
    let text = String(decoding: input, as: UTF8.self)
    let lines = text.split(separator: "\n").map { String($0) }
    _ = (PhysicalVolume(lines), PhysicalVolume(hint: text), LogicalVolume(mapperName: text))
    _ = (FirmwareDisplay(iomem: text), ConsoleUses.consoles(text), NVIDIAMinors.minor(in: text))
    _ = (Keyboard.isKeyboard(text), InternetAddress(text))
    let line = KernelCommandLine(reading: text)
    _ = (line.changesAccessControl, line.accessControlOverride)
    _ = KernelRelease(text)
    if let address = PCIAddress(text) { require(PCIAddress(address.description) == address, "\(address)") }
    if let bridge = HostBridgeID(text) { require(HostBridgeID(bridge.description) == bridge, "\(bridge)") }
    if let slot = Slot.Address(text) { require(Slot.Address(slot.description) == slot, "\(slot)") }
    if let group = GroupID(text) { require(group.text == text && text.utf8.count <= 128, "\(group)") }
    for from in [["bus", "pci", "devices"], []] { _ = SysfsPath(target: text, from: from)?.hostBridge }
}
