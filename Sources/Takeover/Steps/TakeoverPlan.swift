// The steps of taking a group and of giving it back, in their order. Each step makes sure of something, whatever was
// there before: so that steps may be taken again, by a daemon that does not know how far its predecessor came.

import Inventory

/// One step.
enum TakeoverStep: Equatable, Sendable {
    /// Load the module of a vfio driver: an override loads none.
    case load(driver: String)
    /// Keep the device out of D3cold, from which some do not come back (kata-containers#11708).
    case keepFromD3cold(DeviceAddress)
    /// Set the override that keeps others off it.
    case pin(DeviceAddress)
    /// Look once more what the host uses of the group: what began since the claim was asked for refuses it, too, unless it is
    /// a use of these.
    case look(forced: [DeviceAddress])
    /// Take it from its driver.
    case unbind(DeviceAddress)
    /// Bind it to its vfio driver.
    case bind(DeviceAddress)
    /// Have the kernel refuse host drivers in this kernel group.
    case own(kernelGroup: Int)
    /// Look that no member is in the hands of a host driver.
    case prove

    /// Wait for the return of a call that was given up, or that a daemon before this one made.
    case awaitWorker(action: String, DeviceAddress?)
    /// Have the nodes in /dev be whose they were before somebody was let open them.
    case takeBackNodes
    /// Wait until nobody but the daemon has the group's devices open.
    case awaitOwner
    /// Reset a member, where there is a way.
    case reset(DeviceAddress)
    /// Let the kernel have host drivers in the group again.
    case disown
    /// Put a member back to what it was.
    case restore(DeviceAddress)

    /// What taking a member from its host driver is called.
    static let unbindAction = "unbind"

    /// What it does, in a word.
    var action: String {
        switch self {
        case .load: "load"
        case .keepFromD3cold: "keep from D3cold"
        case .pin: "pin"
        case .look: "look for uses"
        case .unbind: Self.unbindAction
        case .bind: "bind"
        case .own: "own"
        case .prove: "prove"
        case .awaitWorker(let action, _): "wait for the \(action)"
        case .takeBackNodes: "take nodes back"
        case .awaitOwner: "wait for the owner"
        case .reset: "reset"
        case .disown: "disown"
        case .restore: "restore"
        }
    }

    /// Whether it loads a driver's module.
    var isLoad: Bool { if case .load = self { true } else { false } }

    /// The member that it is about.
    var member: DeviceAddress? {
        switch self {
        case .keepFromD3cold(let member), .pin(let member), .unbind(let member), .bind(let member), .reset(let member),
            .restore(let member):
            member
        case .awaitWorker(_, let member): member
        case .load, .look, .own, .prove, .takeBackNodes, .awaitOwner, .disown: nil
        }
    }
}

extension ClaimedGroup {
    /// What makes the group the owner's. A kernel group is owned with the first of its members that is bound; a member
    /// without one has nothing to own.
    ///
    /// All members are off their host drivers before one is bound, and the group is owned as soon as the first is: from
    /// then on no host driver can come between (Documentation/kernel.md, What gives ownership).
    ///
    /// - Parameters:
    ///   - kernelGroup: tells a member's kernel group.
    ///   - forced: members that are taken though the host uses them. They are unbound first, beside those with virtual
    ///     functions: what most likely does not let go of its device goes while nothing else has been taken from the host.
    /// - Returns: the steps, in their order.
    func stepsToTake(
        kernelGroup: (DeviceAddress) -> Int?, forced: [DeviceAddress] = []
    ) -> [TakeoverStep] {
        let touched = members.filter(\.isTouched)
        let bound = touched.filter { $0.vfioDriver != nil }
        var drivers: [String] = []
        for case let driver? in bound.map(\.vfioDriver) where !drivers.contains(driver) { drivers.append(driver) }
        var steps: [TakeoverStep] = drivers.map { .load(driver: $0) }
        for member in touched where member.before.d3coldAllowed == true {
            steps.append(.keepFromD3cold(member.address))
        }
        steps += touched.map { .pin($0.address) }
        func isFirst(_ member: ClaimedMember) -> Bool {
            !member.isBridge && (forced.contains(member.address) || member.before.virtualFunctions ?? 0 > 0)
        }
        // What sits behind a bridge goes before it.
        let unbound = touched.reversed()
        if touched.contains(where: \.leavesDriver) { steps.append(.look(forced: forced)) }
        steps += (unbound.filter(isFirst) + unbound.filter { !isFirst($0) }).map { .unbind($0.address) }
        var owned: Set<Int> = []
        for member in bound {
            steps.append(.bind(member.address))
            if let number = kernelGroup(member.address), owned.insert(number).inserted {
                steps.append(.own(kernelGroup: number))
            }
        }
        return steps + [.prove]
    }

    /// What gives the group back; it is reset only where an owner may have used it.
    func stepsToRestore() -> [TakeoverStep] {
        let pending = members.filter { $0.isTouched && !$0.isRestored }
        // What a call about the group does that is still out is not known before it returns; what is about one member, that
        // member's own way home waits for.
        let outstanding = workers.first { $0.member == nil }
        var steps: [TakeoverStep] = outstanding.map { [.awaitWorker(action: $0.action, nil)] } ?? []
        steps += nodes.isEmpty ? [.awaitOwner] : [.takeBackNodes, .awaitOwner]
        if wasHeld {
            steps += pending.filter { $0.vfioDriver != nil && $0.reset == nil }.map { .reset($0.address) }
        }
        // Bridges before what sits behind them: members are in that order.
        return steps + [.disown] + pending.map { .restore($0.address) }
    }
}

extension ClaimedMember {
    /// Whether a driver loses it that is not the one that it is taken to.
    fileprivate var leavesDriver: Bool { before.driver != .none && before.driver.name != vfioDriver }
}
