// What the daemon does to a simulated machine: calls into its kernel, processes and time.

import CLinux
public import EventLoop
import Files
import Glibc
import Host
import Inventory
import PCI

extension SimulatedHost {
    public nonisolated var bootID: String { "simulated" }

    public func readBinding(of device: DeviceAddress) async throws(HostError) -> DeviceBinding? {
        try perform { (kernel) throws(HostError) in try kernel.binding(of: device) }
    }

    public func driverLink(of device: DeviceAddress) -> DriverLink? {
        guard let state = kernel.devices[device] else { return .noDevice }
        return DriverLink(to: state.driverLink)
    }

    public func hasDriver(_ name: String, onBusOf device: DeviceAddress) -> Bool? { kernel.isLoaded(name) }

    public func holders(of devices: [DeviceAddress]) async throws(HostError) -> [DeviceHolder] {
        guard !hidesHolders else { return [] }
        return devices.flatMap { device in
            kernel.files(of: device).filter { !files.isDaemons($0) }.map { _ in DeviceHolder(device, process: nil) }
        }
    }

    public func identification(of device: DeviceAddress) -> PCIFunction.Identification? {
        kernel[device]?.pci?.identification
    }

    public func enableCount(of device: DeviceAddress) -> Int? { kernel.enableCount(of: device) }

    public func isAnswering(_ device: DeviceAddress) async -> Bool? {
        guard device.pci != nil, let state = kernel.devices[device] else { return nil }
        return state.reset != .leavesDead || !state.wasReset
    }

    public func uses(of devices: [DeviceAddress]) async -> [DeviceUse] {
        uses.filter { devices.contains($0.device) }
    }

    public func variantDriver(of device: DeviceAddress) async -> String? { kernel.variantDriver(for: device) }

    public func vfioInterfaces() async -> VFIOInterfaces {
        kernel.configuration.hasIOMMUFD ? [.cdev, .legacy] : [.legacy]
    }

    public func nodeStatus(of node: VFIONode) throws(HostError) -> NodeStatus? {
        let kernel = kernel
        switch node {
        case .container: return NodeStatus(path: "/dev/vfio/vfio", permissions: .init(uid: 0, gid: 0, mode: 0o666))
        case .iommufd: return NodeStatus(path: "/dev/iommu", permissions: .init(uid: 0, gid: 0, mode: 0o660))
        case .group, .cdev:
            guard let place = kernel.place(of: node), let permissions = kernel.permissions(of: place),
                kernel.sysfsDeviceNumber(of: place) == kernel.deviceNumber(of: place)
            else { return nil }
            return NodeStatus(path: place.path, permissions: permissions)
        }
    }

    public func prepare(_ call: KernelCall) throws(HostError) -> any KernelWorker {
        SimulatedWorker(try standIns.take(), call, on: self)
    }

    public func findWorker(_ id: ProcessIdentity) throws(HostError) -> (any KernelWorker)? {
        blocked.first { $0.id == id }
    }

    public func process(_ pid: Int32) -> ProcessIdentity? {
        if let process = processes[pid] { return process.identity }
        return ProcessIdentity(of: pid)
    }

    public func hasEnded(_ process: ProcessIdentity) throws(HostError) -> Bool { self.process(process.pid) != process }

    public func open(_ process: ProcessIdentity) throws(HostError) -> KernelFile? {
        do throws(SystemError) {
            return process.pid >= Self.firstSimulatedPID
                ? try processes[process.pid]?.open() : try process.open()
        } catch { throw .system(call: "open process \(process.pid)", errno: error.errno) }
    }

    public func recognizes(_ file: KernelFile, as process: ProcessIdentity) -> Bool {
        process.pid >= Self.firstSimulatedPID
            ? processes[process.pid]?.isOpen(as: file) ?? false : process.isOpen(as: file)
    }

    public func recognizes(_ file: KernelFile, as node: VFIONode) -> Bool {
        guard let open = files.file(file), let kind = kernel.kind(open) else { return false }
        let isIt: Bool
        switch (kind, node) {
        case (.iommufd, .iommufd), (.container, .container): isIt = true
        case (.cdev(let device, _), .cdev(let wanted)): isIt = device == wanted
        // A group that was made anew has the number, and what is open of the old one owns nothing.
        case (.group(let number, let device), .group(let wanted)):
            isIt = number == wanted && kernel.sysfsDeviceNumber(of: .group(number)) == device
        default: isIt = false
        }
        if isIt { files.becomesDaemons(file) }
        return isIt
    }

    public var now: MonotonicTime { clock?.now ?? .now }

    public func sleep(until deadline: MonotonicTime) async throws(LoopError) {
        if let clock { try await clock.sleep(until: deadline) } else { try await EventLoop.main.sleep(until: deadline) }
    }
}

extension SimulatedHost {
    /// Looks now for descriptors that nobody has open any more, rather than when the loop comes to it.
    public func collectClosedFiles() { files.collect() }
}

extension SimulatedHost {
    private typealias Refusal = SimulatedKernel.Refusal

    /// How a call went, seen by its worker.
    enum Made {
        case done(CallYield)
        case failed(Int32)
        case blocked(SimulatedKernel.Operation)
    }

    /// The worker's call has not returned.
    func isBlocked(_ worker: SimulatedWorker) {
        standIns.keepBusy(worker.id)
        if !blocked.contains(where: { $0 === worker }) { blocked.append(worker) }
    }

    /// Makes a call into the kernel.
    func make(_ call: KernelCall) -> Made {
        do throws(Refusal) {
            switch call {
            case .loadModule(let driver): return load(driver)
            case .setDriverOverride(let device, let name):
                if name != nil { perform { $0.noteTaken([device]) } }
                return write(.driverOverride(device, (name ?? "") + "\n"))
            case .unbind(let clearance, let driver):
                watchIdentity(of: clearance.device, .unbind)
                for device in [clearance.device] + kernel.functionsMade(by: clearance.device) {
                    watch(device, .unbind)
                }
                return write(.unbind(clearance.device, from: driver))
            case .probe(let device): return write(.driversProbe(device))
            case .announce(let device):
                perform { kernel in
                    kernel.announceAnew(device)
                    kernel.settle()
                }
            case .reset(let clearance):
                watchIdentity(of: clearance.device, .reset)
                watch(clearance.device, .reset)
                return write(.reset(clearance.device))
            case .setVirtualFunctions(let clearance, let count):
                guard let address = clearance.device.pci else { throw .failed(.enoent) }
                return write(.numVFs(address, count))
            case .setPowerControl(let device, let control): return write(.powerControl(device, control))
            case .setD3coldAllowed(let device, let isAllowed): return write(.d3coldAllowed(device, isAllowed))
            case .open(let node):
                let file = try open(node)
                // Whoever has one device of a group has them all.
                let group: Int? =
                    switch node {
                    case .cdev(let device): kernel.devices[device]?.device.kernelGroup
                    case .group(let number): number
                    default: nil
                    }
                if let group { perform { $0.noteTaken($0.members(ofGroup: group)) } }
                return .done(.file(file))
            case .setPermissions(let node, let permissions):
                try perform { (kernel) throws(Refusal) in
                    guard let place = kernel.place(of: node) else { throw .failed(.enoent) }
                    try kernel.setPermissions(permissions, of: place)
                }
            case .getDevice(let device, let group):
                let group = try file(group)
                return .done(
                    .file(
                        try descriptor(
                            of: try perform { (kernel) throws(Refusal) in try kernel.getDevice(group, device) })))
            case .setContainer(let group, let container):
                let (group, container) = (try file(group), try file(container))
                try perform { (kernel) throws(Refusal) in try kernel.setContainer(group, container) }
            case .setIOMMU(let container):
                let container = try file(container)
                try perform { (kernel) throws(Refusal) in try kernel.setIOMMU(container) }
            case .bindIOMMUFD(let cdev, let iommufd):
                let (cdev, iommufd) = (try file(cdev), try file(iommufd))
                try perform { (kernel) throws(Refusal) in try kernel.bindIOMMUFD(cdev, iommufd) }
            case .allocateIOAS(let iommufd):
                _ = try file(iommufd)
                // The daemon makes one; a consumer may take any other number for its own.
                return .done(.number(1))
            case .attach(let cdev, let ioas):
                let cdev = try file(cdev)
                try perform { (kernel) throws(Refusal) in try kernel.attach(cdev, to: ioas) }
            case .isBound(let cdev):
                let cdev = try file(cdev)
                return .done(.number(try perform { (kernel) throws(Refusal) in try kernel.isBound(cdev) } ? 1 : 0))
            case .hasContainer(let group):
                let group = try file(group)
                let status = try perform { (kernel) throws(Refusal) in try kernel.groupStatus(group) }
                return .done(.number(status.contains(.containerSet) ? 1 : 0))
            case .detach(let cdev):
                let cdev = try file(cdev)
                try perform { (kernel) throws(Refusal) in try kernel.detach(cdev) }
            case .containerRanges(let file), .ioasRanges(let file, _):
                let file = try self.file(file)
                return .done(.ranges(try perform { (kernel) throws(Refusal) in try kernel.iovaRanges(file) }))
            case .close(let file): return close(file)
            }
            return .done(.nothing)
        } catch {
            switch error {
            case .failed(let errno): return .failed(errno.number)
            case .blocked(let operation): return .blocked(operation)
            }
        }
    }

    private func load(_ driver: String) -> Made {
        do throws(KernelErrno) {
            try perform { (kernel) throws(KernelErrno) in
                try kernel.loadModule(driver)
                // Nodes come by devtmpfs, which is quick; udev only changes who may open them.
                kernel.settle()
            }
            return .done(.nothing)
        } catch { return .failed(error.number) }
    }

    private func write(_ access: SimulatedKernel.Access) -> Made {
        let outcome = perform { kernel in
            let outcome = kernel.write(access)
            if !delaysNodes { kernel.settle() }
            return outcome
        }
        switch outcome {
        case .done: return .done(.nothing)
        case .failed(let errno): return .failed(errno.number)
        case .blocked(let operation): return .blocked(operation)
        }
    }

    private func open(_ node: VFIONode) throws(Refusal) -> KernelFile {
        let file = try perform { (kernel) throws(Refusal) in
            switch node {
            case .group(let number): return try kernel.openGroup(number)
            case .container: return kernel.openContainer()
            case .cdev(let device):
                guard let number = kernel.vfioNumber(of: device) else { throw .failed(.enoent) }
                return try kernel.openCdev(number)
            case .iommufd: return try kernel.openIOMMUFD()
            }
        }
        return try descriptor(of: file)
    }

    private func descriptor(of file: SimulatedKernel.File) throws(Refusal) -> KernelFile {
        files.onClose = { [weak self] file in self?.perform { $0.closeWhateverHappens(file) } }
        do throws(SystemError) { return try files.descriptor(of: file) } catch {
            perform { kernel in kernel.closeWhateverHappens(file) }
            throw .failed(.enomem)
        }
    }

    private func file(_ descriptor: KernelFile) throws(Refusal) -> SimulatedKernel.File {
        guard let file = files.file(descriptor) else { throw .failed(.ebadf) }
        return file
    }

    private func close(_ descriptor: KernelFile) -> Made {
        guard let file = files.file(descriptor) else { return .done(.nothing) }
        // The fault is met by the worker, whose copy is the last; what is closed is closed whatever the call says.
        let refusal = perform { kernel in kernel.refusalToClose(file) }
        if case .blocked(let operation)? = refusal { return .blocked(operation) }
        files.letGo(of: descriptor)
        if case .failed(let errno)? = refusal { return .failed(errno.number) }
        return .done(.nothing)
    }
}
