// Machines of functions in any arrangement, some of which no hardware has: every backend puts every device into one group
// or says why not, no group is smaller than the kernel's, and what cannot be read makes no group smaller.

import Inventory
import PCI
import Registry
import TestSupport

@testable import Grouping

/// Twelve bytes a function.
func fuzzMachine(_ input: UnsafeRawBufferPointer) {
    var devices: [Device] = []
    var bytes = input[...]
    while bytes.count >= 12, devices.count < 48 {
        devices.append(device(UnsafeRawBufferPointer(rebasing: bytes.prefix(12)), among: devices))
        bytes = bytes.dropFirst(12)
    }
    checkGroups(of: machine(devices))
    let whole = Prediction(machine(devices))
    let poorer = Prediction(machine(devices).unreadable)
    for group in whole.groups {
        let others = group.first.flatMap { poorer.group(of: $0) } ?? []
        require(Set(others).isSuperset(of: group), "unread, \(group) is \(others)")
    }
}

/// What must hold for the groups of any inventory.
func checkGroups(of inventory: Inventory) {
    for policy in [BackendPolicy.auto, .forced(.kernel), .forced(.hostBridge), .forced(.predicted)] {
        let snapshot = Registry(inventory, policy: policy).snapshot
        var seen = Set<DeviceAddress>()
        for record in snapshot.groups {
            require(!record.group.members.isEmpty, "\(record.id) is empty")
            for member in record.group.members {
                require(seen.insert(member).inserted, "\(member) is in two groups")
                guard let number = inventory[member]?.kernelGroup, let group = inventory.kernelGroup(number),
                    !group.isNoIOMMU, policy != .forced(.predicted)
                else { continue }
                require(record.group.kernelGroups.contains(number), "\(member) is not with kernel group \(number)")
            }
        }
        for device in snapshot.ungrouped {
            require(seen.insert(device.device).inserted, "\(device.device) is in a group and in none")
        }
        require(seen.count == inventory.devices.count, "\(inventory.devices.count - seen.count) devices are nowhere")
        let explainer = Explainer(inventory)
        for record in snapshot.groups {
            let edges = explainer.explain(record.group).edges
            require(edges.count == record.group.members.count - 1, "\(record.id) has \(edges.count) edges")
            for edge in edges { require(!edge.sentence.isEmpty, "an edge without a sentence") }
            _ = DMAWindow.windows(of: record.group, in: inventory, endpoints: snapshot.endpoints)
        }
        _ = snapshot.resetReach(of: inventory.devices.map(\.address))
        let boot = RememberedBoot(snapshot, bootID: "a")
        let changes = BootComparison(of: boot, with: boot).changes
        // No hardware has two devices in one place, such as two virtual functions of one number.
        let places = boot.groups.flatMap(\.members).map(\.place)
        require(changes.isEmpty || Set(places).count < places.count, "a boot is another one than itself: \(changes)")
    }
}

private func device(_ bytes: UnsafeRawBufferPointer, among others: [Device]) -> Device {
    let parents = others.filter { $0.pci?.isBridge == true }
    let parent = parents.isEmpty || bytes[0] & 0x80 != 0 ? nil : parents[Int(bytes[0] & 0x7f) % parents.count]
    let domain: UInt32 = bytes[1] & 0x80 != 0 ? 0x10000 : UInt32(bytes[1] >> 5 & 1)
    let bus = parent.flatMap { others.firstIndex(of: $0) }.map { UInt8(truncatingIfNeeded: $0 + 1) } ?? 0
    let address = PCIAddress(
        domain: parent?.address.pci?.domain ?? domain, bus: bus, device: bytes[1] & 0x1f, function: bytes[2] & 7)
    let flags = bytes[3]
    let isBridge = flags & 1 != 0
    let layout: Header.Layout = isBridge ? .bridge(primary: 0, secondary: 1, subordinate: 1) : .endpoint
    var express: Reading<PCIExpress> = .absent
    if bytes[2] >> 4 < 12 {
        express = .present(
            PCIExpress(
                kind: PCIExpress.Kind(rawValue: bytes[2] >> 4), ariForwardingSupported: true,
                ariForwardingEnabled: flags & 2 != 0))
    } else if bytes[2] >> 4 == 12 {
        express = .unknown(.headerOnly)
    }
    let services = AccessControlServices(capability: UInt16(bytes[4]), control: UInt16(bytes[5]))
    let physical = others.last { $0.address.pci?.bus == bus && $0.pci?.virtualFunction == nil }?.address.pci
    var function = PCIFunction(
        hostBridge: parent?.pci?.hostBridge ?? HostBridgeID(domain: domain, bus: 0), parent: parent?.address.pci,
        identification: .init(
            vendorID: UInt16(bytes[6]) << 8 | UInt16(bytes[7]), deviceID: UInt16(bytes[8]) << 8 | UInt16(bytes[9]),
            classCode: ClassCode(rawValue: UInt32(bytes[10]) << 16)),
        capabilities: FunctionCapabilities(
            header: .present(Header(layout: layout, isMultifunction: flags & 4 != 0)), express: express,
            acs: flags & 8 != 0 ? .absent : .present(services), ari: .absent, sriov: .absent),
        virtualFunction: flags & 0x10 != 0 && !isBridge
            ? physical.map { .init(physicalFunction: $0, index: Int(bytes[2] & 7)) } : nil,
        isBridge: isBridge)
    if flags & 0x20 != 0 { function.partitionableEndpoint = Int(bytes[11] >> 4) }
    return Device(
        address: .pci(address), kind: .pci(function), kernelGroup: bytes[11] & 0x0f == 0 ? nil : Int(bytes[11] & 0x0f))
}
