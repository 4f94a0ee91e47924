// io.vfiogroupd.Manager: the daemon itself, and the host as a whole.

import EventLoop
import GroupAPI
import Grouping
import Host
import PCI
import Registry
import Takeover
import Varlink

extension GroupService {
    func registerManager(on server: VarlinkServer) {
        server.add(Manager.interface)
        server.answer(Manager.GetStatus.self) { [self] _ in Answer(status) }
        server.handle(Manager.TakeSnapshot.self) { [self] call in
            let inventory = snapshot.inventory
            let wanted = call.parameters.serialNumbers ?? false
            let numbers = wanted ? await host.serialNumbers(of: inventory.devices.map(\.address)) : [:]
            return .init(snapshot: inventory.snapshot(serialNumbers: numbers))
        }
    }

    private var status: Manager.GetStatus.Reply {
        let snapshot = snapshot
        let inventory = snapshot.inventory
        return .init(
            version: identity.version, host: host.name, simulated: identity.isSimulated,
            kernelRelease: inventory.kernel?.text, generation: snapshot.generation,
            isolating: snapshot.groups.contains { $0.group.isolation.isIsolated },
            remarks: snapshot.remarks + (takeover?.problems ?? []),
            groupCount: snapshot.groups.count, deviceCount: inventory.devices.count,
            ungroupedCount: snapshot.ungrouped.count,
            hostBridges: inventory.hostBridges.compactMap { bridge in
                snapshot.choices[bridge.id].map {
                    .init(id: bridge.id.description, backend: .init($0.backend), reason: $0.reason)
                }
            },
            disagreements: snapshot.disagreements.map {
                .init(
                    group: $0.group.text, backend: .init($0.backend), kernelGroups: $0.kernelGroups,
                    explanation: $0.explanation)
            },
            warnings: snapshot.warnings.map {
                .init(
                    device: $0.device.map { .init(bus: $0.bus, name: $0.name) }, offset: $0.offset,
                    message: $0.message)
            }, lastBoot: lastBoot.map { .init($0) })
    }
}

extension Manager.Backend {
    init(_ name: BackendName) {
        switch name {
        case .hostBridge: self = .hostBridge
        case .partitionableEndpoint: self = .partitionableEndpoint
        case .kernel: self = .kernel
        case .predicted: self = .predicted
        }
    }
}

extension Snapshot {
    /// What stands out about the host as a whole, in sentences for a person.
    public var remarks: [String] {
        var remarks: [String] = []
        if inventory.hostBridges.isEmpty {
            remarks.append("this host has no PCI: there is no host bridge in its sysfs")
        } else if !groups.contains(where: { $0.group.isolation.isIsolated }) {
            remarks.append(
                "no IOMMU isolates any device, so no group can be claimed; \(Advice.switchOnIOMMU)")
        }
        let noIOMMU = inventory.kernelGroups.filter(\.isNoIOMMU).map(\.number)
        if !noIOMMU.isEmpty {
            remarks.append(
                "vfio runs in its no-IOMMU mode (kernel groups \(noIOMMU.map(String.init).joined(separator: ", "))): "
                    + "a device in it can write to all of the host's memory")
        }
        if let sentence = inventory.commandLine?.overrideSentence { remarks.append(sentence) }
        return remarks
    }
}
