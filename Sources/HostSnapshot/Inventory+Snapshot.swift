// Inventories as snapshots and back: the whole host as one value of the API, without anything that names a person or a
// machine: an inventory has no serial numbers in the first place, and they are in a snapshot only when they are given.

import GroupAPI
import Host
import Inventory
import PCI
import Varlink

extension Inventory {
    /// The version of the form that this program writes and reads.
    static let snapshotVersion = 1

    /// The inventory as a snapshot. Warnings are not part of it: they are about how the host was read.
    public func snapshot(serialNumbers: [DeviceAddress: String] = [:]) -> Manager.Snapshot {
        Manager.Snapshot(
            version: Self.snapshotVersion, kernelRelease: kernel?.text, kernelCommandLine: commandLine?.parameters,
            interrupts: interrupts.map {
                .init(on: $0.isOn, type1Allows: $0.type1Allows, iommufdAllows: $0.iommufdAllows)
            },
            hostBridges: hostBridges.map {
                .init(
                    id: $0.id.description, parent: $0.parent?.description,
                    partitioning: $0.partitioning.map(Manager.Partitioning.init),
                    tables: $0.tables.map(Manager.TranslationTables.init))
            },
            devices: devices.map { Manager.SnapshotDevice($0, serialNumber: serialNumbers[$0.address]) },
            kernelGroups: kernelGroups.map(Manager.SnapshotKernelGroup.init),
            translationUnits: translationUnits.map {
                .init(name: $0.name, addressWidth: $0.addressWidth, source: $0.source)
            },
            slots: slots.map { .init(name: $0.name, address: $0.address.description) })
    }

    /// The inventory of a snapshot. What a snapshot says is checked as far as types and addresses go.
    init(_ snapshot: Manager.Snapshot) throws(HostError) {
        guard snapshot.version == Self.snapshotVersion else {
            throw .badSnapshot(
                reason: "it is of version \(snapshot.version), and this program knows version \(Self.snapshotVersion)")
        }
        var hostBridges: [HostBridge] = []
        for bridge in snapshot.hostBridges {
            hostBridges.append(
                HostBridge(
                    id: try hostBridgeID(bridge.id),
                    parent: try bridge.parent.mapThrowing { (text) throws(HostError) in try pciAddress(text) },
                    partitioning: try bridge.partitioning.mapThrowing { (partitioning) throws(HostError) in
                        try Partitioning(partitioning)
                    },
                    tables: try bridge.tables.mapThrowing { (tables) throws(HostError) in
                        try TranslationTables(tables)
                    }))
        }
        var devices: [Device] = []
        for device in snapshot.devices { devices.append(try Device(device)) }
        var groups: [KernelGroup] = []
        for group in snapshot.kernelGroups { groups.append(try KernelGroup(group)) }
        var units: [TranslationUnit] = []
        for unit in snapshot.translationUnits ?? [] { units.append(try TranslationUnit(unit)) }
        var slots: [Slot] = []
        for slot in snapshot.slots ?? [] { slots.append(try Slot(slot)) }
        self.init(
            kernel: snapshot.kernelRelease.flatMap { KernelRelease($0) },
            commandLine: snapshot.kernelCommandLine.map(KernelCommandLine.init(parameters:)),
            interrupts: snapshot.interrupts.map {
                InterruptRemapping(isOn: $0.on, type1Allows: $0.type1Allows, iommufdAllows: $0.iommufdAllows)
            },
            hostBridges: hostBridges, devices: devices, kernelGroups: groups, translationUnits: units, slots: slots)
    }
}

extension Manager.Snapshot {
    /// The serial numbers that it has.
    var serialNumbers: [DeviceAddress: String] {
        var numbers: [DeviceAddress: String] = [:]
        for device in devices {
            guard let number = device.function?.serialNumber, let address = try? DeviceAddress(device.address)
            else { continue }
            numbers[address] = number
        }
        return numbers
    }
}

func pciAddress(_ text: String) throws(HostError) -> PCIAddress {
    guard let address = PCIAddress(text) else { throw .badSnapshot(reason: "\"\(text)\" is no PCI address") }
    return address
}

func hostBridgeID(_ text: String) throws(HostError) -> HostBridgeID {
    guard let id = HostBridgeID(text) else { throw .badSnapshot(reason: "\"\(text)\" is no host bridge") }
    return id
}

extension Optional {
    /// `map` for a closure with a typed error.
    func mapThrowing<Result, Failure: Error>(
        _ transform: (Wrapped) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        if let value = self { try transform(value) } else { nil }
    }
}

extension Manager.SnapshotKernelGroup {
    init(_ group: KernelGroup) {
        self.init(
            number: group.number, name: group.name, type: group.type,
            reservedRegions: group.reservedRegions.map {
                .init(start: "0x\(hexadecimal($0.start))", last: "0x\(hexadecimal($0.last))", kind: $0.kind.name)
            })
    }
}

extension KernelGroup {
    init(_ group: Manager.SnapshotKernelGroup) throws(HostError) {
        var regions: [ReservedRegion] = []
        for region in group.reservedRegions {
            guard let start = addressNumber(region.start), let last = addressNumber(region.last), start <= last else {
                throw .badSnapshot(
                    reason: "\"\(region.start)\" to \"\(region.last)\" of kernel group \(group.number) is no region")
            }
            regions.append(ReservedRegion(start: start, last: last, kind: .init(region.kind)))
        }
        self.init(number: group.number, name: group.name, type: group.type, reservedRegions: regions)
    }
}

/// An address as the API spells it: `0x` and hexadecimal digits.
func addressNumber(_ text: String) -> UInt64? {
    text.hasPrefix("0x") ? unsignedInteger(text.utf8.dropFirst(2), radix: 16) : nil
}

extension ReservedRegion.Kind {
    /// The kernel's word.
    var name: String {
        switch self {
        case .direct: "direct"
        case .directRelaxable: "direct-relaxable"
        case .reserved: "reserved"
        case .msi: "msi"
        case .unrecognized(let word): word
        }
    }
}
