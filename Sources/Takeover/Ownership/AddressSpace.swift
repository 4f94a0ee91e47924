// The I/O address space that the groups of a claim share, and what the daemon has open to keep them owned. The kernel
// counts a group as owned from SET_CONTAINER or from the BIND of one cdev on, for as long as that is open somewhere
// (Documentation/kernel.md, What gives ownership).

import Host
import Inventory

/// What the daemon has open for a claim.
struct AddressSpace: Sendable {
    /// The interface that it goes by, and its root.
    enum Root: Sendable {
        case none
        case iommufd(KernelFile, ioas: UInt32)
        case container(KernelFile, hasIOMMU: Bool)
    }

    var root = Root.none
    /// A consumer has had its iommufd: the next one gets another.
    var wasSeen = false
    /// Bound cdevs of the daemon, each of which keeps its kernel group owned.
    var cdevs: [DeviceAddress: KernelFile] = [:]
    /// Those of them that are attached to nothing: a consumer may attach the rest of their group as it likes.
    var detached: Set<DeviceAddress> = []
    /// Cdevs that are only open. They own nothing, and keep their devices from leaving
    /// (Documentation/kernel.md, What gives ownership).
    var barriers: [DeviceAddress: KernelFile] = [:]
    /// Groups in the container.
    var groups: [Int: KernelFile] = [:]
    /// What may be mapped, both ends inclusive, as the kernel said after the last group came.
    var ranges: [ClosedRange<UInt64>] = []

    /// What is open on a node.
    subscript(node: VFIONode) -> KernelFile? {
        switch (node, root) {
        case (.cdev(let device), _): cdevs[device]
        case (.group(let number), _): groups[number]
        case (.iommufd, .iommufd(let file, _)), (.container, .container(let file, _)): file
        case (.iommufd, _), (.container, _): nil
        }
    }

    /// Takes out what is open on a node.
    mutating func remove(_ node: VFIONode) -> KernelFile? {
        defer {
            switch node {
            case .cdev(let device):
                cdevs[device] = nil
                detached.remove(device)
            case .group(let number): groups[number] = nil
            case .iommufd, .container: root = .none
            }
        }
        return self[node]
    }

    /// Takes out all that is open.
    mutating func removeAll() -> [KernelFile] {
        var files = Array(cdevs.values) + Array(barriers.values) + Array(groups.values)
        switch root {
        case .none: break
        case .iommufd(let file, _), .container(let file, _): files.append(file)
        }
        self = AddressSpace()
        return files
    }

    /// Takes in that groups were closed: with its last one a container loses its IOMMU, and is set up anew for the next.
    mutating func groupsWereClosed() {
        guard groups.isEmpty, case .container(let container, true) = root else { return }
        root = .container(container, hasIOMMU: false)
    }
}
