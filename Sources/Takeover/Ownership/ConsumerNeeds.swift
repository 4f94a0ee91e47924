// What a consumer of a claim needs beside what it is given, told before it fails for the want of it.

import Grouping
import Inventory
import Registry

/// What a consumer of a claim needs, and what it has to reckon with.
public struct ConsumerNeeds: Equatable, Sendable {
    /// What a reset takes along.
    public struct ResetSet: Equatable, Sendable {
        /// What is reset.
        public enum Kind: Equatable, Sendable {
            case bus, slot
        }

        public var kind: Kind
        /// The name of the bus or slot.
        public var name: String
        public var devices: [DeviceAddress]
        /// Those that are in no group of the claim: with one of them the kernel refuses the reset to a consumer
        /// (VFIO_DEVICE_PCI_HOT_RESET, drivers/vfio/pci/vfio_pci_core.c).
        public var unclaimed: [DeviceAddress]
    }

    /// How many bytes it must be allowed to lock (RLIMIT_MEMLOCK); nil where no size of guest memory was named.
    public var memlock: UInt64?
    /// All groups of the claim have to be in one I/O address space; members of a group always have to.
    public var sharesAddressSpace: Bool
    /// The resets of buses and slots that reach its devices, each set of devices once.
    public var resets: [ResetSet]

    /// What is locked beside the guest's memory, in bytes: QEMU 10 without video memory needs no more than that and cannot
    /// do with nothing (Documentation/kernel.md, Handing over: 65,536 KiB failed and 66,560 KiB worked for 64 MiB).
    public static let overhead: UInt64 = 1 << 20

    /// - Parameters:
    ///   - claim: the claim.
    ///   - guestMemory: in bytes, no more than 2^62.
    ///   - snapshot: the groups that there are.
    public init(of claim: Claim, guestMemory: UInt64?, in snapshot: Snapshot) {
        memlock = guestMemory.map { $0 + Self.overhead }
        // A container is one address space. An iommufd holds as many as a consumer makes, and who opens nodes by path
        // makes containers as well.
        sharesAddressSpace = claim.access == .container
        let members = Set(claim.groups.flatMap(\.members).map(\.address))
        var resets: [ResetSet] = []
        for reach in snapshot.resetReach(of: members.sorted()) {
            for case (let kind, let scope?) in [(ResetSet.Kind.bus, reach.bus), (.slot, reach.slot)]
            where !resets.contains(where: { $0.devices == scope.devices }) {
                resets.append(
                    ResetSet(
                        kind: kind, name: scope.name, devices: scope.devices,
                        unclaimed: scope.devices.filter { !members.contains($0) }))
            }
        }
        self.resets = resets
    }
}
