// The driver core: which driver takes a device, and how one lets go.

import Host
import Inventory
import PCI

extension SimulatedKernel {
    /// Adds a driver, or what it matches and whether it is loaded to the one of that name. Nothing is bound by it.
    public mutating func register(_ driver: KernelDriver) {
        guard let index = driverIndex(driver.name) else { return drivers.append(driver) }
        drivers[index].matches += driver.matches
        drivers[index].isLoaded = drivers[index].isLoaded || driver.isLoaded
    }

    /// Loads the module of a driver, which then takes what it matches; ENOENT where there is none of that name.
    public mutating func loadModule(_ name: String) throws(KernelErrno) {
        guard let index = driverIndex(name) else { throw .enoent }
        guard !drivers[index].isLoaded else { return }
        guard drivers[index].isInstalled else { throw .enoent }
        drivers[index].isLoaded = true
        guard autoprobes else { return }
        for address in devices.keys.sorted() where devices[address]?.binding == SimulatedDevice.Binding.none {
            if let device = devices[address]?.device, accepts(device, drivers[index]) {
                _ = probe(address, drivers[index])
            }
        }
    }

    /// Unloads the module of a driver, which lets go of its devices.
    public mutating func unloadModule(_ name: String) {
        guard let index = driverIndex(name) else { return }
        for address in devices.keys.sorted() where devices[address]?.driver == drivers[index].name {
            _ = write(.unbind(address, from: drivers[index].name))
        }
        drivers[index].isLoaded = false
    }

    /// Has a driver show no module in sysfs.
    public mutating func hideModule(of name: String) {
        if let index = driverIndex(name) { drivers[index].isModule = false }
    }

    /// Puts the module of a driver where modprobe finds it, or away from there.
    public mutating func setInstalled(_ isInstalled: Bool, moduleOf name: String) {
        if let index = driverIndex(name) { drivers[index].isInstalled = isInstalled }
    }

    /// Announces a device anew, as a write of `add` to its `uevent` does. udev loads the modules whose tables have it,
    /// whatever its override says.
    public mutating func announceAnew(_ address: DeviceAddress) {
        guard let device = devices[address]?.device else { return }
        announce("add", address.bus, address.name)
        for driver in drivers where !driver.isLoaded && driver.kind != .vfio && driver.matches(device) {
            try? loadModule(driver.name)
        }
    }

    /// Takes the attributes `bind` and `unbind` from a driver.
    public mutating func suppressBinding(of name: String) {
        if let index = driverIndex(name) { drivers[index].canBeUnbound = false }
    }

    /// Whether a driver's module is loaded.
    public func isLoaded(_ name: String) -> Bool { driver(named: name)?.isLoaded ?? false }

    /// The module of a driver; nil for one that is part of the kernel.
    func moduleName(of name: String) -> String? {
        guard let driver = driver(named: name), driver.isModule else { return nil }
        return KernelDriver.moduleName(driver.name)
    }

    /// The vfio variant driver that modules.alias names for the device.
    public func variantDriver(for address: DeviceAddress) -> String? {
        guard let device = devices[address]?.device else { return nil }
        return drivers.first { $0.kind == .vfio && $0.matches(device) }?.name
    }

    func driver(named name: String) -> KernelDriver? { driverIndex(name).map { drivers[$0] } }

    private func driverIndex(_ name: String) -> Int? {
        let module = KernelDriver.moduleName(name)
        return drivers.firstIndex { KernelDriver.moduleName($0.name) == module }
    }

    /// Takes what the inventory shows for the driver's table.
    mutating func learn(_ name: String, of device: Device) {
        var driver = KernelDriver(name)
        if driver.kind != .vfio {
            driver.matches = [.address(device.address)]
            if let physical = device.pci?.virtualFunction?.physicalFunction {
                driver.matches.append(.virtualFunctions(of: physical))
            }
        }
        register(driver)
    }

    /// driver_match_device: an override decides alone; without one, vfio drivers take nothing.
    private func accepts(_ device: Device, _ driver: KernelDriver) -> Bool {
        guard driver.isLoaded else { return false }
        if let override = device.driverOverride.value { return override == driver.name }
        return driver.kind != .vfio && driver.matches(device)
    }

    enum ProbeFailure: Equatable {
        /// Refused before the driver was asked: its DMA cannot be configured.
        case refused(KernelErrno)
        case failed(KernelErrno)
    }

    /// really_probe.
    private mutating func probe(_ address: DeviceAddress, _ driver: KernelDriver) -> ProbeFailure? {
        guard let state = devices[address] else { return .refused(.enodev) }
        if driver.kind == .host, owner(of: state.device) != nil {
            // Before 5.19 vfio found out too late and stopped the machine (BUG_ON in vfio_group_nb_verify).
            return .refused(.ebusy)
        }
        if case .fails(let errno)? = takeFault(.probe, [address]) { return .failed(errno) }
        if driver.kind == .vfio, state.device.isBridge || state.device.kernelGroup == nil {
            log.append("\(driver.name) \(address.name): probe with driver \(driver.name) failed with error -22")
            return .failed(.einval)
        }
        devices[address]?.binding = .bound(driver.name)
        devices[address]?.powerControl = driver.kind == .vfio ? .auto : .on
        if driver.kind == .vfio { bindVFIO(address) }
        if driver.kind == .host, state.isNetwork { announce("add", "net", address.name) }
        if driver.kind == .host { openDomain(of: address) }
        announce("bind", address.bus, address.name, driver: driver.name)
        return nil
    }

    /// Tries the loaded drivers in turn, as for a new device; nil also where none matched.
    mutating func attach(_ address: DeviceAddress) -> ProbeFailure? {
        guard let device = devices[address]?.device, devices[address]?.driver == nil else { return nil }
        for driver in drivers where accepts(device, driver) {
            switch probe(address, driver) {
            case nil: return nil
            case .refused(let errno): return .refused(errno)
            case .failed: continue
            }
        }
        return nil
    }

    mutating func driversProbe(_ address: DeviceAddress) -> KernelErrno? {
        if case .refused? = attach(address) { .einval } else { nil }
    }

    mutating func bind(_ address: DeviceAddress, _ name: String) -> KernelErrno? {
        guard let driver = driver(named: name), driver.isLoaded, driver.canBeUnbound else { return .enoent }
        guard let state = devices[address], accepts(state.device, driver) else { return .enodev }
        guard state.driver == nil else { return .ebusy }
        switch probe(address, driver) {
        case nil: return nil
        case .refused(let errno), .failed(let errno): return errno
        }
    }

    mutating func setOverride(of address: DeviceAddress, _ text: String) {
        // sysfs does not even call the attribute for a write of no bytes (sysfs_kf_write).
        guard !text.isEmpty else { return }
        let name = text.split(separator: "\n", omittingEmptySubsequences: false).first.map { String($0) } ?? text
        devices[address]?.device.driverOverride = name.isEmpty ? .absent : .present(name)
    }

    /// Its virtual functions go with the physical function's driver, and the domain behind a VMD with the VMD's.
    func stepsToUnbind(_ address: DeviceAddress) -> [WorkStep] {
        var steps: [WorkStep] = [.detach(address)] + stepsToCloseDomain(of: address)
        let virtual = virtualFunctions(of: address)
        if let physical = address.pci, !virtual.isEmpty, !leavesVirtualFunctions {
            steps += stepsToRemove(virtual, remembering: false, byPhysicalFunction: true) + [.recordVFs(physical)]
        }
        return steps + [.awaitHolders(address), .finishDetach(address)]
    }

    mutating func detach(_ address: DeviceAddress) {
        guard let state = devices[address], case .bound(let name) = state.binding else { return }
        devices[address]?.binding = .leaving(name)
        if driver(named: name)?.kind == .host, state.isNetwork { announce("remove", "net", address.name) }
        if configuration.announcesUnbindFirst { dropVFIODevice(address) }
        request(address)
    }

    mutating func finishDetach(_ address: DeviceAddress) {
        guard let state = devices[address], state.driver != nil else { return }
        dropVFIODevice(address)
        if state.driver.flatMap({ driver(named: $0) })?.kind == .vfio { devices[address]?.powerControl = .on }
        devices[address]?.binding = .none
        devices[address]?.requests = 0
        if let number = state.device.kernelGroup { dropVFIOGroup(number) }
        announce("unbind", address.bus, address.name)
    }
}
