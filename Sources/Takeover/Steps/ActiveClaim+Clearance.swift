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
                showWait(wait, context)
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
                showWait(.init(for: holders, of: member.address), context)
            }
            try await pause(context)
        }
    }

    /// Waits until nobody but the daemon has a member of the group open.
    func awaitOthers(_ context: StepContext) async throws(StepFailure) {
        defer { showWait(nil, context) }
        while let wait = await othersWait(context.group) {
            showWait(wait, context)
            try await pause(context)
        }
    }

    /// Who has which member open, one of them.
    private func othersWait(_ group: GroupID) async -> OthersWait? {
        let members = self[group]?.members ?? []
        let holders: [DeviceHolder]
        do throws(HostError) { holders = try await takeover.holders(of: members.map(\.address)) } catch {
            return members.first.map { .init(unknown: error, of: $0.address) }
        }
        if let first = holders.first {
            return .init(for: holders.filter { $0.device == first.device }, of: first.device)
        }
        for member in members where member.vfioDriver != nil {
            // What cannot be read now is for the steps that touch it to say.
            guard let binding = try? await host.readBinding(of: member.address), binding.driver == member.vfioDriver
            else { continue }
            if terms(for: member, on: []).isOpenUnseen(binding) { return .init(for: [], of: member.address) }
        }
        return nil
    }

    private func pause(_ context: StepContext) async throws(StepFailure) {
        do throws(LoopError) { try await host.sleep(for: takeover.timing.look) } catch {
            throw context.failure(.stopped, remedy: "")
        }
    }

    private func showWait(_ wait: OthersWait?, _ context: StepContext) {
        guard let work = work[context.group], work[context.number]?.waitsFor != wait else { return }
        work[context.number]?.waitsFor = wait
        takeover.changed()
    }
}

/// Somebody else who has a member open, for whom it is waited.
struct OthersWait: Equatable, Sendable {
    var member: DeviceAddress
    /// The process; nil where nothing in /proc shows who it is.
    var process: ProcessIdentity?
    /// The claim that has it.
    var claim: String?
    /// Why it cannot be found out whether there is anybody.
    var unknown: HostError?

    /// A claim that a function is in which goes with the member.
    init(for claim: Claim, of device: DeviceAddress) {
        member = device
        self.claim = claim.id + (claim.name.map { " \"\($0)\"" } ?? "") + " of \(claim.owner.text)"
    }

    init(unknown: HostError, of member: DeviceAddress) {
        self.member = member
        self.unknown = unknown
    }

    init(for holders: [DeviceHolder], of member: DeviceAddress) {
        self.member = member
        process = holders.lazy.compactMap(\.process).first
    }

    /// Who has what open, in words.
    var sentence: String {
        if let claim { return "\(member), which would go with it, is in \(claim)" }
        if let unknown { return "who has \(member) open cannot be found out, and is asked again: \(unknown)" }
        guard let process else {
            return "\(member) is open in a process that nothing in /proc shows: the descriptor may be in a socket, in "
                + "io_uring, or another namespace's"
        }
        return "process \(process.pid)\(process.command.map { " (\($0))" } ?? "") has \(member) open"
    }
}

extension Takeover {
    /// Whether a holder has a device for the daemon: the store's copies are its own.
    func isOurs(_ holder: DeviceHolder) -> Bool {
        guard let store, holder.process?.pid == store.keeper else { return false }
        return claims.values.contains { $0.isStored(holder.device) }
    }
}
