// What the daemon says in words for people: in its log and in its status line.

import Config
import GroupAPI
import Grouping
import Inventory
import Keeper
import Registry
import Service
import Systemd
import Takeover

extension BackendPolicy {
    /// The policy of the configuration.
    init(_ configuration: Configuration) {
        self.init(configuration.backend)
        guard !configuration.hostBridges.isEmpty else { return }
        self = .byHostBridge(configuration.hostBridges.mapValues { BackendPolicy($0) }, otherwise: self)
    }

    /// The policy that one word names.
    init(_ choice: Config.BackendChoice) {
        switch choice {
        case .auto: self = .auto
        case .kernel: self = .forced(.kernel)
        case .hostBridge: self = .forced(.hostBridge)
        case .partitionableEndpoint: self = .forced(.partitionableEndpoint)
        case .predicted: self = .forced(.predicted)
        }
    }
}

extension Keeper {
    /// One line on how things stand: groups, claimed, degraded, blocked.
    var statusLine: String {
        let groups = snapshot.groups
        let isolated = groups.count { $0.group.isolation.isIsolated }
        func part(_ count: Int, _ words: String) -> String { count > 0 ? ", \(count) \(words)" : "" }
        func states(_ names: String...) -> Int { groups.count { names.contains($0.state.name) } }
        let blocked = takeover.operations.values.count { $0.isBlocked }
        return "\(groups.count) groups (\(isolated) isolated) of \(snapshot.inventory.devices.count) devices"
            + part(groups.count { $0.claim != nil }, "claimed") + part(states("degraded"), "degraded")
            + part(states("restoring"), "restoring") + part(blocked, "blocked in the kernel")
            + part(states("quarantined"), "in quarantine")
            + part(states("orphaned"), "on vfio drivers without a claim")
            + part(reservationsMissing, "reservations not taken")
            + (isolated == 0 && !snapshot.inventory.devices.isEmpty ? "; no IOMMU isolates any device" : "")
    }
}

extension Logger {
    /// Says what changed: at the level of its kind what an administrator should find, and all else as what goes on.
    func log(_ event: GroupEvent, in snapshot: Snapshot) {
        let fields =
            (event.group.map { [JournalMessage.Field(.group, $0.text)] } ?? [])
            + (event.claim.map { [.init(.claim, $0)] } ?? [])
            + (event.member.map { [.init(.device, $0.description)] } ?? [])
        if let kind = event.messageKind(in: snapshot) {
            log(JournalMessage(kind, "\(event)", fields))
        } else {
            log(.info, "\(event)", fields)
        }
    }
}

extension GroupEvent {
    /// What an administrator finds it as; nil for what goes on all the time, or is told by who caused it.
    fileprivate func messageKind(in snapshot: Snapshot) -> MessageKind? {
        switch self {
        case .registry(let event):
            switch (event.kind, group.flatMap { snapshot.group($0) }?.state) {
            case (.degraded, _): return .groupDegraded
            case (.groupStateChanged, .restoring?): return .restoreDelayed
            default: return nil
            }
        case .claim(let event, _):
            switch event.change {
            case .quarantined: return .quarantined
            case .removalRequested: return .removalRequested
            case .removed: return .claimEnded
            case .added, .adopted, .changed, .groupChanged, .memberAdded, .memberPinned, .memberRetaken: return nil
            }
        }
    }

    /// What the API calls it.
    fileprivate var name: String { Groups.EventKind(self).rawValue }
}

extension InventoryWarning: CustomStringConvertible {
    public var description: String {
        let place = offset.map { ", config offset 0x" + String($0, radix: 16) } ?? ""
        return (device.map { "\($0)\(place): " } ?? "") + message
    }
}

extension GroupEvent: CustomStringConvertible {
    public var description: String {
        [name, claim, group.map { "group \($0)" }, member.map { "device \($0)" }].compactMap { $0 }
            .joined(separator: " ") + (cause.map { ": \($0)" } ?? "")
    }
}
