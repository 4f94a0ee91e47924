// What the daemon says in words for people: in its log and in its status line.

import Config
import Grouping
import Host
import Registry

extension BackendPolicy {
    /// The policy that the configuration or the command line names.
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

extension Snapshot {
    /// One line on how things stand.
    var statusLine: String {
        let isolated = groups.count { $0.group.isolation.isIsolated }
        let held = groups.count { $0.state == .orphaned }
        let claimed = groups.count { $0.claim != nil }
        let degraded = groups.count { ["degraded", "restoring"].contains($0.state.name) }
        return "\(groups.count) groups (\(isolated) isolated) of \(inventory.devices.count) devices"
            + (claimed > 0 ? ", \(claimed) claimed" : "") + (degraded > 0 ? ", \(degraded) degraded or restoring" : "")
            + (held > 0 ? ", \(held) on vfio drivers without a claim" : "")
            + (isolated == 0 && !inventory.devices.isEmpty ? "; no IOMMU isolates any device" : "")
    }
}

extension InventoryWarning: CustomStringConvertible {
    public var description: String {
        let place = offset.map { ", config offset 0x" + String($0, radix: 16) } ?? ""
        return (device.map { "\($0)\(place): " } ?? "") + message
    }
}

extension RegistryEvent: CustomStringConvertible {
    public var description: String {
        [kind.rawValue, claim, group.map { "group \($0)" }, member.map { "device \($0)" }].compactMap { $0 }
            .joined(separator: " ") + (cause.map { ": \($0)" } ?? "")
    }
}
