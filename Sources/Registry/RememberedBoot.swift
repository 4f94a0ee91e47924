// What is kept of a boot beyond it: which devices were where, and which groups they made. Places are topology, so that
// bus numbers that shift are no change.

import Grouping
import Inventory
import PCI

/// The groups of a host as they were in one boot.
public struct RememberedBoot: Equatable, Sendable {
    /// A member of a group.
    public struct Member: Equatable, Sendable {
        /// Where it sits: the identity that a group of it alone would have.
        public var place: String
        /// Its address then.
        public var address: String
        /// What it is: vendor, device and subsystem IDs; nil where they could not be read.
        public var identity: String?

        public init(place: String, address: String, identity: String?) {
            self.place = place
            self.address = address
            self.identity = identity
        }
    }

    /// A group.
    public struct Group: Equatable, Sendable {
        public var id: String
        public var backend: String
        public var kernelGroups: [Int]
        public var members: [Member]

        public init(id: String, backend: String, kernelGroups: [Int], members: [Member]) {
            self.id = id
            self.backend = backend
            self.kernelGroups = kernelGroups
            self.members = members
        }
    }

    /// Tells it from other boots.
    public var bootID: String
    /// The kernel's release.
    public var kernel: String?
    /// The parameters of the kernel's command line that decide about isolation.
    public var parameters: [String]
    public var groups: [Group]

    public init(bootID: String, kernel: String?, parameters: [String], groups: [Group]) {
        self.bootID = bootID
        self.kernel = kernel
        self.parameters = parameters
        self.groups = groups
    }
}

extension RememberedBoot {
    /// What is to be kept of the boot that a snapshot is of.
    public init(_ snapshot: Snapshot, bootID: String) {
        let inventory = snapshot.inventory
        self.init(
            bootID: bootID, kernel: inventory.kernel?.text, parameters: inventory.commandLine?.parameters ?? [],
            groups: snapshot.groups.map { record in
                Group(
                    id: record.id.text, backend: record.group.backend.rawValue, kernelGroups: record.group.kernelGroups,
                    members: record.members.map { member in
                        Member(
                            place: member.device.place(in: inventory), address: member.device.address.description,
                            identity: member.device.pci?.identification.summary)
                    })
            })
    }
}

extension Device {
    /// Where it sits: the identity that a group of it alone would have.
    func place(in inventory: Inventory) -> String {
        TopologyPath(self, in: inventory)?.description ?? "\(address.bus)_\(address.name)"
    }
}

extension PCIFunction.Identification {
    /// `10de:2684, subsystem 1043:889a`; nil where the vendor or the device is unknown. The revision is left out: firmware
    /// changes it in some devices.
    var summary: String? {
        guard let vendorID, let deviceID else { return nil }
        let subsystem = subsystemVendorID.flatMap { vendor in
            subsystemDeviceID.map { ", subsystem \(hexadecimal(vendor, width: 4)):\(hexadecimal($0, width: 4))" }
        }
        return "\(hexadecimal(vendorID, width: 4)):\(hexadecimal(deviceID, width: 4))\(subsystem ?? "")"
    }
}
