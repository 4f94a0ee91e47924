// What of a claim outlives the daemon: copies of what keeps its groups owned, in a store that passes them to the next
// daemon. The claim is on record before any of its descriptors is kept, and a descriptor is kept before anything is
// bound by it, so that nothing is owned by what a kill would close.

import EventLoop
import Glibc
import Grouping
import Host
import Inventory

extension ActiveClaim {
    /// Has the store keep a copy of a file. Without it the claim works, and is unowned for a moment when the daemon ends.
    func keep(_ file: KernelFile, as item: StoredItem) async {
        guard let store = takeover.store, file.isOpen, !takeover.isStopped else { return }
        stored.insert(item)
        do throws(DescriptorStoreError) { try await store.keep(file.number, as: item.name(of: id)) } catch {
            stored.remove(item)
            takeover.report("claim \(id): \(item.name(of: id)) will not outlast the daemon: \(error.reason)")
        }
    }

    /// Has the store close its copy, some time later.
    func drop(_ item: StoredItem) {
        guard stored.remove(item) != nil else { return }
        takeover.store?.drop(item.name(of: id))
    }

    /// The same where nothing was bound by it: it is closed when this returns, unless the store does not answer.
    func dropNow(_ item: StoredItem) async {
        guard stored.contains(item) else { return }
        drop(item)
        try? await takeover.store?.settle()
    }

    /// Closes files of the claim so that nobody but who was given them has them open any more: a device is not unbound,
    /// and not bound by somebody else, while the store has a copy of what it is bound by.
    func closeEverywhere(_ nodes: [VFIONode], _ context: StepContext) async throws(StepFailure) {
        let kept = nodes.filter { stored.contains(.node($0)) }
        if let store = takeover.store, !kept.isEmpty {
            for node in kept { drop(.node(node)) }
            do throws(DescriptorStoreError) {
                try await store.settle()
                try await awaitClose(of: kept.compactMap { space[$0] }, by: store.keeper)
            } catch {
                stored.formUnion(kept.map { .node($0) })
                throw context.failure(
                    .reason("what the service manager keeps of it may still be open: \(error.reason)"),
                    remedy: "find out what process \(store.keeper) is busy with; it is tried again")
            }
        }
        for node in nodes {
            guard let file = space.remove(node) else { continue }
            try await close(file, about: node.device, context)
        }
    }

    /// The manager closes in a thread of its own what it was told to drop. Closing takes it no time while the daemon has
    /// a copy, which is the last one then.
    private func awaitClose(of files: [KernelFile], by keeper: Int32) async throws(DescriptorStoreError) {
        let deadline = host.now + takeover.timing.nodePatience
        while await mayHaveOpen(files, keeper) {
            guard host.now < deadline else { throw .init(reason: "process \(keeper) has not closed it") }
            do throws(LoopError) { try await host.sleep(for: .milliseconds(5)) } catch {
                throw .init(reason: "the daemon ends")
            }
        }
    }

    /// What cannot be found out may be so.
    private func mayHaveOpen(_ files: [KernelFile], _ keeper: Int32) async -> Bool {
        do throws(HostError) { return try await host.hasOpen(files, in: keeper) } catch { return true }
    }

    static let betweenDaemons = "from the end of the last daemon until this one had it again"

    /// Whether what is handed over as it is bound came back from the store for all of its groups: then it was not.
    var hasAll: Bool {
        (record.access == .bound || record.access == .container)
            && record.groups.allSatisfy { ownableGroups(of: $0.id).allSatisfy(owns) }
    }

    /// Makes what came back from the store what it was meant to be: the last daemon may have been killed after a file
    /// was kept and before it was bound.
    func confirm(_ group: GroupID, _ context: StepContext) async throws(StepFailure) {
        let members = heldMembers(of: group).filter { space.cdevs[$0] != nil }
        for member in members {
            guard let cdev = space.cdevs[member], case .iommufd(let iommufd, let ioas) = space.root else { continue }
            if case .number(0) = try await call(.isBound(cdev: cdev), about: member, context) {
                beginUnowned(group, cause: Self.betweenDaemons)
                try await call(.bindIOMMUFD(cdev: cdev, iommufd: iommufd), about: member, context)
            }
            if consumer != nil, record.leftOut.contains(member) {
                // Its kernel group is in the address space of the consumer's choice.
                space.detached.insert(member)
            } else {
                try await attach(cdev, of: member, iommufd, ioas, context)
            }
        }
        for number in ownableGroups(of: group) {
            guard let file = space.groups[number], case .container(let container, _) = space.root else { continue }
            if case .number(0) = try await call(.hasContainer(group: file), about: nil, context) {
                beginUnowned(group, cause: Self.betweenDaemons)
                try await call(.setContainer(group: file, container: container), about: nil, context)
            }
            do throws(StepFailure) { try await readRanges(.containerRanges(container), context) } catch {
                guard case .errno(EINVAL) = error.cause else { throw error }
                try await call(.setIOMMU(container: container), about: nil, context)
                try await readRanges(.containerRanges(container), context)
            }
            space.root = .container(container, hasIOMMU: true)
        }
    }
}

extension Takeover {
    /// Whether a descriptor that was passed to the daemon comes from its store: by the name of a claim's, or by the one
    /// that systemd gives to what was stored without a name.
    public nonisolated static func isStoreName(_ name: String) -> Bool {
        name.hasPrefix("claim-") || name == "stored"
    }

    /// Finds the descriptors of the claims on record among those that came back from the store. What is left over is
    /// closed: nobody knows what it is for.
    func match(_ left: [StoredDescriptor]) {
        var files: [String: KernelFile] = [:]
        for descriptor in left {
            let file = KernelFile(owning: descriptor.descriptor)
            if let twin = files.updateValue(file, forKey: descriptor.name) { closeAside(twin) }
        }
        for claim in claims.values {
            for item in claim.record.storableItems {
                let name = item.name(of: claim.id)
                guard let file = files.removeValue(forKey: name) else { continue }
                if claim.take(file, as: item) {
                    claim.stored.insert(item)
                    continue
                }
                // Of a process that has ended and was reaped nothing says any more which it was.
                if item != .owner { problems.append("the stored descriptor \(name) is not what its name says") }
                close(file, storedAs: name)
            }
        }
        for (name, file) in files.sorted(by: { $0.key < $1.key }) {
            problems.append("the stored descriptor \(name) is of no claim on record, and is closed")
            close(file, storedAs: name)
        }
    }

    private func close(_ file: KernelFile, storedAs name: String) {
        store?.drop(name)
        closeAside(file)
    }

    /// Whether a claim may have so many descriptors in the store.
    func checkStore(for demand: Int) throws(TakeoverError) {
        guard let store else { return }
        let used = claims.values.reduce(0) { $0 + $1.record.storeDemand }
        guard used + demand <= store.capacity else {
            throw .storeIsFull(capacity: store.capacity, used: used, demand: demand)
        }
    }

    /// Who else has devices of a claim open: the store's copies are the daemon's own.
    ///
    /// - Throws: why that cannot be found out.
    func holders(of devices: [DeviceAddress]) async throws(HostError) -> [DeviceHolder] {
        try await host.holders(of: devices).filter { !isOurs($0) }
    }
}

extension ActiveClaim {
    /// Takes over what an earlier daemon left of it; false when it is not what its name says.
    fileprivate func take(_ file: KernelFile, as item: StoredItem) -> Bool {
        switch item {
        case .owner:
            guard host.recognizes(file, as: record.owner.process) else { return false }
            owner = file
        case .node(let node):
            guard host.recognizes(file, as: node) else { return false }
            switch node {
            case .iommufd:
                guard let ioas = record.ioas, case .none = space.root else { return false }
                space.root = .iommufd(file, ioas: ioas)
            case .container:
                guard case .none = space.root else { return false }
                space.root = .container(file, hasIOMMU: false)
            case .group(let number):
                guard case .container = space.root else { return false }
                space.groups[number] = file
            case .cdev(let device):
                guard case .iommufd = space.root else { return false }
                space.cdevs[device] = file
            }
        }
        return true
    }

    /// Whether the store has something that a device, or its group, is open by.
    func isStored(_ device: DeviceAddress) -> Bool {
        stored.contains(.node(.cdev(device)))
            || kernelGroup(of: device).map { stored.contains(.node(.group($0))) } ?? false
    }
}
