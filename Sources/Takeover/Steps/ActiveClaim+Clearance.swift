// Leave to touch a member. Every step that touches one asks for it immediately before: whatever was known before that, and
// whatever a daemon before this one knew, is not asked.

import EventLoop
import Grouping
import Host
import Inventory
import Registry

extension ActiveClaim {
    /// What a member has to be like for a step to touch it.
    func terms(for member: ClaimedMember, on drivers: Set<String?>) -> ClearanceTerms {
        let address = member.address
        let isDaemons = space.cdevs[address] != nil
        return ClearanceTerms(
            address, member.identity, on: drivers, enableCount: member.enableCount, isDaemons: isDaemons,
            isOurs: { [weak takeover] holder in takeover?.isOurs(holder) ?? false })
    }

    /// Leave to touch a member. While somebody else has it open it is waited for that, without end.
    ///
    /// - Parameters:
    ///   - member: as it is on record.
    ///   - drivers: those that it may be on; nil among them for none.
    ///   - context: the step that it is for.
    /// - Returns: leave, or what keeps it from being touched for good.
    /// - Throws: when the daemon ends.
    func clearance(
        for member: ClaimedMember, on drivers: Set<String?>, _ context: StepContext
    ) async throws(StepFailure) -> Result<Clearance, Obstacle> {
        defer { showWait(nil, context) }
        while true {
            // What a vfio driver's unbind or a reset takes along; without one there is nothing to lose any more.
            if let driver = member.vfioDriver, host.driverLink(of: member.address) == .driver(driver),
                let wait = await userOfDependents(of: member.address)
            {
                showWait(.others(wait), context)
                try await pause(context)
                continue
            }
            do throws(Obstacle) {
                let clearance = try await host.clear(terms(for: member, on: drivers))
                work[context.group]?.drivers[member.address] = clearance.binding.driver
                return .success(clearance)
            } catch {
                if case .onDriver(let driver) = error { work[context.group]?.drivers[member.address] = driver }
                guard case .open(let holders) = error else { return .failure(error) }
                showWait(.others(wait(for: holders, of: member.address)), context)
            }
            try await pause(context)
        }
    }

    /// Waits until nobody but the daemon has a member of the group open.
    func awaitOthers(_ context: StepContext) async throws(StepFailure) {
        defer { showWait(nil, context) }
        while let wait = await othersWait(context.group) {
            showWait(.others(wait), context)
            try await pause(context)
        }
    }

    /// Who has which member open, one of them.
    private func othersWait(_ group: GroupID) async -> OthersWait? {
        let members = self[group]?.members ?? []
        let holders: [DeviceHolder]
        do throws(HostError) { holders = try await takeover.holders(of: members.map(\.address)) } catch {
            return members.first.map { OthersWait(member: $0.address, unknown: error) }
        }
        if let first = holders.first {
            return wait(for: holders.filter { $0.device == first.device }, of: first.device)
        }
        // What cannot be read now is for the steps that touch it to say.
        return members.first(where: isOpenedByOthers).map { wait(for: [], of: $0.address) }
    }

    /// The wait for those who have a member open.
    func wait(for holders: [DeviceHolder], of member: DeviceAddress) -> OthersWait {
        var wait = takeover.wait(for: holders, of: member)
        let owner = record.owner.process
        let mayHaveIt = consumer != nil && host.process(owner.pid) == owner
        if wait.process == nil, mayHaveIt { wait.owner = takeover.named(owner) }
        return wait
    }

    private func pause(_ context: StepContext) async throws(StepFailure) {
        do throws(LoopError) { try await host.sleep(for: takeover.timing.look) } catch {
            throw context.failure(.stopped, remedy: "")
        }
    }
}

extension Takeover {
    /// The wait for those who have a device open.
    func wait(for holders: [DeviceHolder], of member: DeviceAddress) -> OthersWait {
        OthersWait(member: member, process: holders.lazy.compactMap(\.process).first.map(named))
    }

    func named(_ process: ProcessIdentity) -> NamedProcess {
        NamedProcess(pid: process.pid, command: process.command, unit: keeper?.unit(of: process))
    }

    /// Whether a holder has a device for the daemon: the store's copies are its own.
    func isOurs(_ holder: DeviceHolder) -> Bool {
        guard let store, holder.process?.pid == store.keeper else { return false }
        return claims.values.contains { $0.isStored(holder.device) }
    }
}
