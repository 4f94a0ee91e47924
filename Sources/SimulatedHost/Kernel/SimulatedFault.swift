// Faults that a test or a demonstration puts into the simulated kernel.

import Inventory

/// One call that goes wrong, at one device.
public struct SimulatedFault: Equatable, Sendable {
    /// The call. Those that concern a group go wrong when the device is a member.
    public enum Step: String, CaseIterable, Sendable {
        case readDriverOverride, writeDriverOverride, bind, unbind, driversProbe, remove, setNumVFs, reset
        case setPowerControl, setD3coldAllowed, setPermissions
        /// The probe function of whatever driver is tried: unlike a failed write, drivers_probe hides this one. It can only fail;
        /// a probe that never returns is a `bind` or `driversProbe` that does not.
        case probe
        case openGroup, groupStatus, setContainer, unsetContainer, setIOMMU, getDevice
        case openCdev, bindIOMMUFD, attach, detach, deviceReset
        /// The last close of a device or group.
        case close
    }

    /// What the call does instead of its work.
    public enum Effect: Equatable, Sendable {
        case fails(KernelErrno)
        /// It keeps the locks it has. `release(_:)` lets it go on.
        case neverReturns
    }

    /// How long the fault stays.
    public enum Duration: Equatable, Sendable {
        case once, always
    }

    public var step: Step
    public var device: DeviceAddress
    public var effect: Effect
    public var duration: Duration

    public init(_ step: Step, of device: DeviceAddress, _ effect: Effect, _ duration: Duration = .once) {
        self.step = step
        self.device = device
        self.effect = effect
        self.duration = duration
    }
}

extension SimulatedKernel {
    /// Adds a fault. Of several for the same step and device the oldest comes first.
    public mutating func inject(_ fault: SimulatedFault) { faults.append(fault) }

    /// Takes all faults back. Calls that one of them blocked stay blocked.
    ///
    /// - Returns: how many there were.
    @discardableResult
    public mutating func clearFaults() -> Int {
        defer { faults = [] }
        return faults.count
    }

    /// The fault that meets this step, used up if it was for once.
    mutating func takeFault(_ step: SimulatedFault.Step, _ devices: [DeviceAddress]) -> SimulatedFault.Effect? {
        guard let index = faults.firstIndex(where: { $0.step == step && devices.contains($0.device) }) else {
            return nil
        }
        return faults[index].duration == .once ? faults.remove(at: index).effect : faults[index].effect
    }

    /// Stops a call that yields something where a fault is set for it.
    mutating func meetFault(_ step: SimulatedFault.Step, _ devices: [DeviceAddress]) throws(Refusal) {
        switch takeFault(step, devices) {
        case nil: return
        case .fails(let errno): throw .failed(errno)
        case .neverReturns: throw .blocked(park(nil, until: .released, then: []))
        }
    }
}
