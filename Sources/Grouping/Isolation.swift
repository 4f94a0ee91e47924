// Whether a group is one: isolated by an IOMMU, and fit to be claimed. Both are verdicts with reasons, because "no"
// alone sends people to the forums.

import Inventory
import PCI

/// Whether an IOMMU isolates a group.
public enum Isolation: Equatable, Sendable {
    /// Every member that is not a bridge is in a kernel group that an IOMMU stands behind.
    case isolated
    /// No IOMMU isolates it; the reason and what would change it, in words.
    case notIsolated(reason: String)

    /// Whether it is.
    public var isIsolated: Bool { self == .isolated }

    init(of members: [Device], in inventory: Inventory) {
        let translated = members.filter { inventory.isTranslated($0) }
        let endpoints = members.filter { !$0.isBridge }
        if let noIOMMU = members.lazy.compactMap(\.kernelGroup).first(where: {
            inventory.kernelGroup($0)?.isNoIOMMU == true
        }) {
            self = .notIsolated(
                reason: "kernel group \(noIOMMU) is vfio's no-IOMMU mode, which isolates nothing; "
                    + Advice.switchOnIOMMU)
        } else if translated.isEmpty {
            self = .notIsolated(
                reason: inventory.kernelGroups.isEmpty
                    ? "no IOMMU isolates it: the kernel made no IOMMU groups; \(Advice.switchOnIOMMU)"
                    : "no IOMMU isolates it: the kernel put none of its members in an IOMMU group")
        } else if let outside = endpoints.first(where: { !inventory.isTranslated($0) }) {
            self = .notIsolated(
                reason: "its member \(outside.address) is in no IOMMU group of the kernel, so no IOMMU isolates it; "
                    + "the kernel backend would leave that device out of the group")
        } else {
            self = .isolated
        }
    }
}

extension Inventory {
    /// Whether an IOMMU stands behind a device: vfio makes a group of each device in no-IOMMU mode, which says nothing.
    func isTranslated(_ device: Device) -> Bool {
        device.kernelGroup.map { kernelGroup($0)?.isNoIOMMU != true } ?? false
    }
}

/// Whether a group can be claimed on this platform at all.
public enum Claimability: Equatable, Sendable {
    /// It can.
    case claimable
    /// It can not; the reason and what would change it, in words.
    case notClaimable(reason: String)

    /// Whether it can.
    public var isClaimable: Bool { self == .claimable }

    /// The reason why not.
    public var reason: String? { if case .notClaimable(let reason) = self { reason } else { nil } }

    /// The buses that have a vfio driver (drivers/vfio in 6.12); mdev devices are vfio devices from birth.
    private static let busesWithVFIO: Set = ["platform", "amba", "fsl-mc", "cdx", "ap", "ccw", "mdev"]

    /// That of a group that is only predicted: nothing real stands behind it, whatever the kernel isolates.
    init(ofPredicted isolation: Isolation) {
        self = .notClaimable(
            reason: "it is predicted (backend predicted) and no group of the kernel, so it is never claimed; "
                + (isolation.isIsolated
                    ? "take another backend, such as kernel, to claim it" : Advice.switchOnIOMMU))
    }

    init(of members: [Device], isolation: Isolation, in inventory: Inventory) {
        if case .notIsolated(let reason) = isolation {
            self = .notClaimable(reason: reason)
            return
        }
        guard members.contains(where: { !$0.isBridge }) else {
            self = .notClaimable(reason: "it has only bridges: there is nothing to hand to a virtual machine")
            return
        }
        for number in Set(members.compactMap(\.kernelGroup)).sorted() {
            let regions = inventory.kernelGroup(number)?.reservedRegions ?? []
            if let direct = regions.first(where: { $0.kind == .direct }) {
                self = .notClaimable(
                    reason: "kernel group \(number) has a direct reserved region "
                        + "(0x\(hexadecimal(direct.start))-0x\(hexadecimal(direct.last))): firmware uses its memory "
                        + "behind the kernel's back (RMRR), so the kernel refuses it to vfio; a firmware update or a "
                        + "firmware switch such as 'legacy USB' or 'shared memory' for the slot may drop the region")
                return
            }
        }
        if inventory.interrupts?.refusesDevices == true {
            self = .notClaimable(reason: "\(InterruptRemapping.refusal); \(InterruptRemapping.remedy)")
            return
        }
        if let foreign = members.first(where: { $0.pci == nil && !Self.busesWithVFIO.contains($0.address.bus) }) {
            self = .notClaimable(reason: "its member \(foreign.address) is on a bus that has no vfio driver")
            return
        }
        self = .claimable
    }
}
