// Devices that are not the ones that are meant by their places: what speaks against taking them, and how they become the
// ones that are meant.

import EventLoop
import Host
import Inventory
import Registry

extension Takeover {
    /// The members that are other devices than the ones that are meant, each as the use that speaks against taking it.
    func replacements(in records: [GroupRecord]) -> [DeviceUse] {
        let inventory = snapshot.inventory
        return records.flatMap(\.members).compactMap { member in
            knownDevices.replacement(of: member.device, in: inventory).map { replacement in
                DeviceUse(member.device.address, .replaced(before: replacement.before, now: replacement.now))
            }
        }
    }

    /// A claim was made that named these devices as the ones to take whatever speaks against it.
    func accept(_ forced: [DeviceAddress]) {
        let inventory = snapshot.inventory
        let others = forced.compactMap { inventory[$0] }.filter {
            knownDevices.replacement(of: $0, in: inventory) != nil
        }
        guard !others.isEmpty else { return }
        for device in others { knownDevices.accept(device, in: inventory) }
        keeper?.devicesWereAccepted()
    }
}
