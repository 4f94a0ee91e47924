// What the seam asks of the simulated kernel beyond its own calls.

import Host
import Inventory
import PCI

extension SimulatedKernel {
    /// What sysfs shows of a device that a takeover changes.
    mutating func binding(of address: DeviceAddress) throws(HostError) -> DeviceBinding? {
        guard let state = devices[address] else { return nil }
        let isPhysical = state.device.pci?.capabilities.sriov.value != nil
        // sriov_numvfs is read under the lock on every kernel.
        if configuration.overrideTakesDeviceLock || isPhysical, isLocked(.device(address)) {
            throw .deviceBusy(address)
        }
        let override: String?
        do throws(Refusal) { override = try readDriverOverride(of: address) } catch {
            switch error {
            case .failed(.enodev), .failed(.enoent): return nil
            case .failed(let errno): throw .system(call: "read driver_override of \(address)", errno: errno.number)
            case .blocked: throw .deviceBusy(address)
            }
        }
        return DeviceBinding(
            driver: state.driverLink, driverOverride: override, canOverride: state.device.pci != nil,
            powerControl: state.powerControl, d3coldAllowed: state.device.pci == nil ? nil : state.allowsD3cold,
            canReset: state.reset != .absent, identification: state.device.pci?.identification,
            enableCount: enableCount(of: address),
            virtualFunctionCount: isPhysical ? virtualFunctions(of: address).count : nil,
            module: state.driverLink.flatMap { moduleName(of: $0) })
    }

    /// The daemon pins these devices, or opens them.
    mutating func noteTaken(_ addresses: some Sequence<DeviceAddress>) {
        for address in addresses { devices[address]?.wasTaken = true }
    }

    /// `enable`: a host driver enables its device when it takes it, and vfio when the device is opened: by BIND or from
    /// its group, once for all who have it (simulation.md).
    func enableCount(of address: DeviceAddress) -> Int? {
        guard let state = devices[address], state.device.pci != nil else { return nil }
        guard state.vfio == nil else { return holders(of: address).asked > 0 ? 1 : 0 }
        return state.driver == nil ? 0 : 1
    }

    /// The open files that keep a device from leaving, or its group from being another's.
    func files(of address: DeviceAddress) -> [File] {
        let group = devices[address]?.device.kernelGroup
        return files.filter { _, file in
            guard file.descriptors > 0 else { return false }
            switch file.kind {
            case .device(address, _), .cdev(address, _): return true
            case .group(let number, _): return number == group
            default: return false
            }
        }.map(\.key)
    }

    /// What the last close of a file meets: an error that changes nothing of its being closed, or no return yet.
    mutating func refusalToClose(_ file: File) -> Refusal? {
        guard let state = files[file], state.references == 1 else { return nil }
        do throws(Refusal) {
            try meetFault(.close, devicesBehind(state.kind))
            return nil
        } catch { return error }
    }

    /// Closes one copy as the end of a process does, which no fault keeps from it.
    mutating func closeWhateverHappens(_ file: File) {
        guard let state = files[file], state.descriptors > 0 else { return }
        files[file]?.descriptors -= 1
        dropReference(file)
        resumePending()
    }
}
