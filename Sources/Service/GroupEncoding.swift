// The registry's groups as the API shows them.

import GroupAPI
import Grouping
import Inventory
import JSON
import Keeper
import PCI
import Registry
import Takeover

extension Groups.Group {
    /// A group as it is now, and what is going on with it.
    init(
        _ record: GroupRecord, operation: GroupOperation? = nil, uses: KnownUses.OfGroup? = nil,
        windows: [DMAWindow]? = nil, sinceLastBoot: [String]? = nil
    ) {
        let group = record.group
        self.init(
            id: group.id.text, backend: .init(group.backend), hostBridges: group.hostBridges.map(\.description),
            kernelGroups: group.kernelGroups, isolated: group.isolation.isIsolated,
            claimable: group.claimability.isClaimable, reason: group.claimability.reason,
            members: record.members.map(Groups.Member.init), complete: record.isComplete,
            blockers: record.blockers.map { Groups.Blocker($0, of: record) },
            uses: uses.map { known in known.uses.map { Groups.Use($0, seen: known.seen) } },
            usesSeen: (uses?.seen).map(timestamp), state: .init(record.state),
            stateReason: record.state.reason, claim: record.claim, operation: operation.map { .init($0) },
            windows: windows?.map { .init($0) }, sinceLastBoot: sinceLastBoot)
    }
}

extension Groups.Operation {
    init(_ operation: GroupOperation) {
        self.init(
            action: operation.action, step: operation.step, steps: operation.steps,
            member: operation.member.map { .init($0) }, pid: operation.pid.map { Int($0) }, seconds: operation.seconds,
            blocked: operation.isBlocked, waitsFor: operation.waitsFor, remedy: operation.remedy)
    }
}

extension Groups.Window {
    init(_ window: DMAWindow) {
        let sizes = window.pageSizeList.map { "0x" + hexadecimal($0) }
        self.init(
            kind: .init(window.kind), start: window.start.map { "0x" + hexadecimal($0) },
            last: window.last.map { "0x" + hexadecimal($0) }, pageSizes: sizes.isEmpty ? nil : sizes,
            source: window.source, time: window.time == .boot ? .boot : .attached)
    }
}

extension Groups.WindowKind {
    fileprivate init(_ kind: DMAWindow.Kind) {
        switch kind {
        case .usable: self = .usable
        case .reserved: self = .reserved
        case .msi: self = .msi
        case .direct: self = .direct
        case .directRelaxable: self = .directRelaxable
        case .window32: self = .window32
        case .window64: self = .window64
        case .dynamic: self = .dynamic
        }
    }
}

extension Groups.Member {
    init(_ member: Member) {
        let device = member.device
        let ids = device.pci?.identification
        self.init(
            address: .init(device.address), role: device.isBridge ? .bridge : .endpoint, state: .init(member.state),
            driver: device.driver, driverOverride: device.driverOverride.value,
            vendorId: ids?.vendorID.map(Int.init), deviceId: ids?.deviceID.map(Int.init),
            subsystemVendorId: ids?.subsystemVendorID.map(Int.init),
            subsystemDeviceId: ids?.subsystemDeviceID.map(Int.init), revision: ids?.revision.map(Int.init),
            classCode: ids?.classCode.map { Int($0.rawValue) }, kernelGroup: device.kernelGroup,
            partitionableEndpoint: member.partitionableEndpoint, numaNode: device.numaNode)
    }
}

extension Groups.Blocker {
    init(_ blocker: Blocker, of record: GroupRecord) {
        self.init(
            address: .init(blocker.device), classCode: blocker.classCode.map { Int($0.rawValue) },
            driver: blocker.driver, reason: blocker.reason, remedy: record.remedy(for: blocker))
    }
}

extension Groups.Backend {
    init(_ name: BackendName) {
        switch name {
        case .hostBridge: self = .hostBridge
        case .partitionableEndpoint: self = .partitionableEndpoint
        case .kernel: self = .kernel
        case .predicted: self = .predicted
        }
    }
}

extension Groups.MemberState {
    init(_ state: MemberState) {
        switch state {
        case .host: self = .host
        case .held: self = .held
        case .inert: self = .inert
        case .passive: self = .passive
        case .removed: self = .removed
        }
    }
}

extension Groups.GroupState {
    init(_ state: GroupState) {
        switch state {
        case .unavailable: self = .unavailable
        case .available: self = .available
        case .orphaned: self = .orphaned
        case .claiming: self = .claiming
        case .claimed: self = .claimed
        case .degraded: self = .degraded
        case .releasing: self = .releasing
        case .restoring: self = .restoring
        case .quarantined: self = .quarantined
        }
    }
}

extension Snapshot {
    /// Writes all groups, as a ListGroups call without `more` is answered.
    public func writeAllGroups(to writer: inout JSONWriter) {
        writer.list(groups.lazy.map { Groups.Group($0) }, as: "groups")
    }
}
