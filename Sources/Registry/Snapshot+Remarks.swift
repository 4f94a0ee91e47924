// What stands out about a host as a whole.

import Grouping
import Inventory

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
