// Claims as the API shows them.

import GroupAPI
import Grouping
import Host
import Inventory
import PCI
import Registry
import Takeover

extension Claims.ClaimStatus {
    init(_ view: ClaimView) {
        let claim = view.claim
        self.init(
            id: claim.id, name: claim.name, state: view.isOver ? .released : .init(view.state),
            owner: .init(claim.owner),
            since: timestamp(claim.since), lifetime: .init(claim.lifetime), access: .init(claim.access),
            groups: view.groups.map { Claims.ClaimedGroup($0, .init($0.state)) }
                + (view.isOver ? view.returned.map { Claims.ClaimedGroup($0, .released) } : []),
            ranges: view.ranges.map {
                .init(start: "0x" + hexadecimal($0.lowerBound), last: "0x" + hexadecimal($0.upperBound))
            },
            unownedMoments: claim.unownedMoments.map {
                .init(group: $0.group.text, since: timestamp($0.since), seconds: $0.seconds, cause: $0.cause)
            })
    }
}

extension Claims.ClaimedGroup {
    /// Groups that are back with the host, of those that were asked for.
    static func returned(_ view: ClaimView, _ ids: [String]) -> [Claims.ClaimedGroup] {
        // A group may have gone and come more than once.
        ids.compactMap { id in view.returned.last { $0.record.id.text == id } }.map { .init($0, .released) }
    }

    fileprivate init(_ group: ClaimView.Group, _ state: Claims.ClaimState) {
        self.init(
            id: group.record.id.text, state: state, kernelGroups: group.record.kernelGroups,
            owned: group.isOwned, unownedReason: group.unownedReason,
            members: group.record.members.map { member in
                .init(
                    address: .init(member.address), driverBefore: member.before.driver.name,
                    driverOverrideBefore: member.before.driverOverride, driver: group.drivers[member.address],
                    vfioDriver: member.vfioDriver, reset: member.reset.map { .init($0) },
                    resetReason: member.reset?.reason,
                    problem: group.problems[member.address], remark: member.remark,
                    remedy: group.remedies[member.address])
            },
            operation: group.operation.map { .init($0) }, reason: group.setback?.reason ?? group.state.reason,
            remedy: group.setback?.remedy, waitsForChange: group.setback?.waitsForChange == true ? true : nil)
    }
}

extension Claims.ClaimState {
    fileprivate init(_ state: GroupState) {
        switch state {
        case .claiming: self = .claiming
        case .claimed: self = .claimed
        case .degraded: self = .degraded
        case .restoring: self = .restoring
        case .releasing, .unavailable, .available, .orphaned, .quarantined: self = .releasing
        }
    }
}

extension Claims.Operation {
    init(_ operation: GroupOperation) {
        self.init(
            action: operation.action, step: operation.step, steps: operation.steps,
            member: operation.member.map { .init($0) }, pid: operation.pid.map { Int($0) }, seconds: operation.seconds,
            blocked: operation.isBlocked, waitsFor: operation.waitsFor, remedy: operation.remedy)
    }
}

extension Claims.Progress {
    init(_ progress: ClaimProgress) { self.init(group: progress.group.text, operation: .init(progress.operation)) }
}

extension Claims.Owner {
    init(_ owner: Owner) {
        self.init(
            uid: Int(owner.uid), gid: Int(owner.gid), pid: Int(owner.process.pid), command: owner.command)
    }
}

extension Claims.ResetResult {
    fileprivate init(_ result: ResetResult) {
        switch result {
        case .reset: self = .reset
        case .notReset: self = .notReset
        case .failed: self = .failed
        }
    }
}

extension Claims.Needs {
    init(_ needs: ConsumerNeeds) {
        self.init(
            memlock: needs.memlock.map { Int(clamping: $0) }, sharedAddressSpace: needs.sharesAddressSpace,
            resets: needs.resets.map {
                .init(
                    kind: $0.kind == .bus ? .bus : .slot, name: $0.name, devices: $0.devices.map { .init($0) },
                    unclaimed: $0.unclaimed.map { .init($0) })
            })
    }
}

extension Claims.HandedNode {
    init(_ node: VFIONode, at path: String) {
        self.init(path: path)
        switch node {
        case .cdev(let device): self.device = .init(device)
        case .group(let number): kernelGroup = number
        case .container, .iommufd: break
        }
    }
}

extension Claims.Unrestored {
    init(_ member: Unrestored) {
        self.init(
            address: .init(member.device), reason: member.reason, remedy: member.remedy,
            driverOverride: member.driverOverride, commands: member.commands.isEmpty ? nil : member.commands)
    }
}

extension Claims.Lifetime {
    init(_ lifetime: Lifetime) {
        switch lifetime {
        case .process: self = .process
        case .connection: self = .connection
        case .manual: self = .manual
        }
    }
}

extension Lifetime {
    init(_ lifetime: Claims.Lifetime) {
        switch lifetime {
        case .process: self = .process
        case .connection: self = .connection
        case .manual: self = .manual
        }
    }
}

extension Claims.Access {
    init(_ access: Access) {
        switch access {
        case .hold: self = .hold
        case .bound: self = .bound
        case .unbound: self = .unbound
        case .container: self = .container
        case .path: self = .path
        }
    }
}

extension Access {
    init(_ access: Claims.Access) {
        switch access {
        case .hold: self = .hold
        case .bound: self = .bound
        case .unbound: self = .unbound
        case .container: self = .container
        case .path: self = .path
        }
    }
}
