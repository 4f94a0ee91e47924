// Writes to sysfs: the one door through which drivers, devices and virtual functions are changed.

import Host
import Inventory
import PCI

extension SimulatedKernel {
    /// A write to an attribute, or a read that may have to wait.
    public enum Access: Equatable, Sendable {
        case readDriverOverride(DeviceAddress)
        /// The bytes as they are written, with their newline.
        case driverOverride(DeviceAddress, String)
        case bind(DeviceAddress, to: String)
        case unbind(DeviceAddress, from: String)
        case driversProbe(DeviceAddress)
        case driversAutoprobe(Bool)
        case remove(DeviceAddress)
        /// Of the whole PCI bus.
        case rescan
        case numVFs(PCIAddress, Int)
        case reset(DeviceAddress)
        case powerControl(DeviceAddress, PowerControl)
        case d3coldAllowed(DeviceAddress, Bool)

        var fault: (step: SimulatedFault.Step, device: DeviceAddress)? {
            switch self {
            case .readDriverOverride(let device): (.readDriverOverride, device)
            case .driverOverride(let device, _): (.writeDriverOverride, device)
            case .bind(let device, _): (.bind, device)
            case .unbind(let device, _): (.unbind, device)
            case .driversProbe(let device): (.driversProbe, device)
            case .remove(let device): (.remove, device)
            case .numVFs(let device, _): (.setNumVFs, .pci(device))
            case .reset(let device): (.reset, device)
            case .powerControl(let device, _): (.setPowerControl, device)
            case .d3coldAllowed(let device, _): (.setD3coldAllowed, device)
            case .driversAutoprobe, .rescan: nil
            }
        }
    }

    /// Writes to sysfs.
    public mutating func write(_ access: Access) -> Outcome {
        let locks = locks(for: access)
        if locks.contains(where: isLocked) { return .blocked(park(access, until: .locks(locks), then: [])) }
        return start(access, locks)
    }

    /// The `driver_override` attribute: nil where none is set.
    public mutating func readDriverOverride(of address: DeviceAddress) throws(Refusal) -> String? {
        switch write(.readDriverOverride(address)) {
        case .done: return devices[address]?.device.driverOverride.value
        case .failed(let errno): throw .failed(errno)
        case .blocked(let operation): throw .blocked(operation)
        }
    }

    func locks(for access: Access) -> Set<Lock> {
        switch access {
        case .readDriverOverride(let device), .driverOverride(let device, _):
            configuration.overrideTakesDeviceLock ? [.device(device)] : []
        case .bind(let device, _), .driversProbe(let device), .reset(let device), .powerControl(let device, _):
            [.device(device)]
        case .unbind(let device, _):
            Set([device] + functionsMade(by: device)).locks
        case .numVFs(let device, _): Set([.pci(device)] + virtualFunctions(of: .pci(device))).locks
        case .remove(let device): Set(subtree(of: device)).locks.union([.rescanRemove])
        case .rescan: [.rescanRemove]
        case .driversAutoprobe, .d3coldAllowed: []
        }
    }

    /// Begins an access whose locks are free.
    mutating func start(_ access: Access, _ locks: Set<Lock>, as operation: Operation? = nil) -> Outcome {
        switch access.fault.flatMap({ takeFault($0.step, [$0.device]) }) {
        case nil: break
        case .fails(let errno): return .failed(errno)
        case .neverReturns:
            let steps: [WorkStep]
            switch plan(access) {
            case .failure(let errno): return .failed(errno)
            case .success(let planned): steps = planned
            }
            // The driver core takes the link away before it calls the driver, which then sits there.
            let begun = steps.prefix { if case .detach = $0 { true } else { false } }
            for step in begun { _ = take(step) }
            return .blocked(
                park(access, until: .released, then: Array(steps.dropFirst(begun.count)), locks, as: operation))
        }
        switch plan(access) {
        case .failure(let errno): return .failed(errno)
        case .success(let steps): return work(steps, access, locks, as: operation)
        }
    }

    /// What an access comes to, or why it is refused at once.
    private func plan(_ access: Access) -> Result<[WorkStep], KernelErrno> {
        switch access {
        case .driversAutoprobe, .rescan: return .success([.apply(access)])
        case .readDriverOverride(let address), .driverOverride(let address, _), .powerControl(let address, _),
            .d3coldAllowed(let address, _):
            return devices[address] == nil ? .failure(.enoent) : .success([.apply(access)])
        case .bind(let address, _), .driversProbe(let address):
            return devices[address] == nil ? .failure(.enodev) : .success([.apply(access)])
        case .reset(let address):
            return devices[address].map { $0.reset != .absent } == true ? .success([.apply(access)]) : .failure(.enoent)
        case .unbind(let address, let driver):
            guard let bound = self.driver(named: driver), bound.isLoaded, bound.canBeUnbound else {
                return .failure(.enoent)
            }
            guard devices[address]?.driverLink == driver else { return .failure(.enodev) }
            return .success(stepsToUnbind(address))
        case .remove(let address):
            guard devices[address] != nil else { return .failure(.enoent) }
            return .success(stepsToRemove(subtree(of: address), remembering: true))
        case .numVFs(let address, let count): return stepsToSetVFs(of: address, to: count)
        }
    }

    private mutating func reset(_ address: DeviceAddress) -> KernelErrno? {
        switch devices[address]?.reset {
        case .fails(let errno)?: return errno
        case .ofBus?:
            let parent = devices[address]?.device.pci?.parent
            let isAlone = !devices.values.contains {
                $0.device.address != address && $0.device.pci != nil && $0.device.pci?.parent == parent
            }
            if parent == nil || !isAlone { return .enotty }
        case .works?, .leavesDead?, .absent?, nil: break
        }
        devices[address]?.wasReset = true
        return nil
    }

    /// The effect of an access that does not wait.
    mutating func apply(_ access: Access) -> KernelErrno? {
        switch access {
        case .readDriverOverride, .unbind, .remove, .numVFs: break
        case .driverOverride(let address, let text): setOverride(of: address, text)
        case .bind(let address, let name): return bind(address, name)
        case .driversProbe(let address): return driversProbe(address)
        case .driversAutoprobe(let isOn): autoprobes = isOn
        case .rescan: rescan()
        case .reset(let address): return reset(address)
        case .powerControl(let address, let control): devices[address]?.powerControl = control
        case .d3coldAllowed(let address, let isAllowed): devices[address]?.allowsD3cold = isAllowed
        }
        return nil
    }
}

extension Set<DeviceAddress> {
    fileprivate var locks: Set<SimulatedKernel.Lock> { Set<SimulatedKernel.Lock>(map { .device($0) }) }
}
