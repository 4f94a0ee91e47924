// What the host uses, as the API shows it.

import GroupAPI
import Grouping
import Host
import Inventory
import Keeper
import Takeover

extension Groups.Use {
    /// A use, seen at a time in seconds since 1970.
    init(_ use: DeviceUse, seen: Int) {
        let rule = use.rule
        self.init(
            address: .init(use.device), kind: rule.word, detail: use.reason, severity: .init(rule.severity),
            remedy: rule.remedy, seen: timestamp(seen))
    }
}

extension Groups.UseSeverity {
    fileprivate init(_ severity: DeviceUse.Severity) {
        switch severity {
        case .refuses: self = .refuses
        case .warns: self = .warns
        case .unknown: self = .unknown
        }
    }
}

extension Claims.Use {
    init(_ use: DeviceUse) {
        let rule = use.rule
        self.init(
            address: .init(use.device), reason: use.reason, kind: rule.word, severity: .init(rule.severity),
            remedy: rule.remedy)
    }
}

extension Claims.UseSeverity {
    fileprivate init(_ severity: DeviceUse.Severity) {
        switch severity {
        case .refuses: self = .refuses
        case .warns: self = .warns
        case .unknown: self = .unknown
        }
    }
}

extension Claims.Plan {
    init(_ plan: ClaimPlan) {
        self.init(
            refused: plan.isRefused, groups: plan.groups.map { .init($0) }, uses: plan.uses.map { .init($0) },
            passedOver: plan.passedOver.map { .init($0) })
    }
}

extension Claims.PlannedGroup {
    fileprivate init(_ group: ClaimPlan.Group) {
        self.init(
            id: group.id.text, kernelGroups: group.kernelGroups,
            members: group.members.map { member in
                .init(
                    address: .init(member.address), selected: group.selected.contains(member.address),
                    driver: member.before.driver.name, vfioDriver: member.vfioDriver)
            },
            lost: group.lost.map { .init($0) },
            steps: group.steps.map { step in
                .init(
                    action: step.action, member: step.member.map { .init($0) }, driver: step.driver,
                    kernelGroup: step.kernelGroup)
            })
    }
}
