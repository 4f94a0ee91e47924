// Devices that are not the ones that are meant by their places, and how they become the ones that are meant.

import EventLoop
import Host
import Inventory
import Registry

extension Takeover {
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
