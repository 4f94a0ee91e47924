// What a daemon must never do to a device, watched from the side of the kernel that would let it: whatever the daemon
// knows or forgot, the simulated machine knows who has a device open.

import EventLoop
import Host
import Inventory

extension SimulatedHost {
    /// What touches a device.
    enum Touch: String {
        case unbind, reset
    }

    /// Notes when a touch meets another device than the one that the daemon took: what it takes it pins first, what it adopts
    /// it opens, and both go with the device.
    func watchIdentity(of device: DeviceAddress, _ touch: Touch) {
        guard let state = kernel.devices[device], !state.wasTaken else { return }
        breakPromise("\(touch.rawValue) of \(device), which is another device than the one that was taken")
    }

    /// Notes when a touch meets a device that somebody else has open, or a reset one that a host driver has.
    func watch(_ device: DeviceAddress, _ touch: Touch) {
        let kernel = kernel
        // A hidden descriptor that opened nothing yet shows nowhere: who has it loses nothing by a reset, and an unbind waits.
        let others = kernel.files(of: device).filter { file in
            !files.isDaemons(file) && (!hidesHolders || kernel.hasOpened(file))
        }
        if !others.isEmpty {
            breakPromise("\(touch.rawValue) of \(device), which somebody else has open")
        }
        if touch == .reset, let driver = kernel[device]?.driver, kernel.driver(named: driver)?.kind != .vfio {
            breakPromise("reset of \(device), which the host driver \(driver) has")
        }
    }
}
