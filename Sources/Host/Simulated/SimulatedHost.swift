// A machine that exists only as a snapshot, with a simulated kernel. Nothing it shows can be claimed for real.

import CLinux
import EventLoop
import Glibc
import GroupAPI
import JSON
import PCI
import Varlink

/// A host made from a snapshot.
@LoopActor
public final class SimulatedHost: Host {
    public nonisolated let name: String
    /// A machine that nobody has touched is the inventory that it was made from; only what is done to one needs a kernel,
    /// which takes as much memory again.
    private enum State {
        case untouched(Inventory)
        case running(SimulatedKernel)
    }

    private var state: State
    /// The serial numbers that came with a snapshot.
    private let serialNumbers: [DeviceAddress: String]
    /// What the machine is said to use its devices for.
    public var uses: [DeviceUse] = []
    /// The host's clock; nil for the real one.
    public var clock: ManualClock?
    /// Whether nodes in /dev wait for the kernel's `settle`, instead of being there with what announces them.
    public var delaysNodes = false
    let files = SimulatedFiles()
    let standIns = StandIns()
    /// Workers in calls that have not returned, the oldest first.
    var blocked: [SimulatedWorker] = []
    /// Processes that exist only here.
    var processes: [Int32: SimulatedProcess] = [:]
    private var isWakingWorkers = false
    private var hasChanged = false
    private var naps: [Int: Task<Void, Never>] = [:]
    private var napNumber = 0

    /// A host with this kernel. One that outlives the daemon is kept as a value and given to the next host.
    public nonisolated init(name: String, kernel: SimulatedKernel) {
        self.name = name
        state = .running(kernel)
        serialNumbers = [:]
    }

    /// A host with this inventory.
    public nonisolated init(
        name: String, inventory: Inventory, serialNumbers: [DeviceAddress: String] = [:]
    ) {
        self.name = name
        state = .untouched(inventory)
        self.serialNumbers = serialNumbers
    }

    /// A host from a snapshot in its JSON form.
    public nonisolated convenience init(name: String, snapshot: [UInt8]) throws(HostError) {
        let snapshot = try Manager.Snapshot(bytes: snapshot)
        self.init(name: name, inventory: try Inventory(snapshot), serialNumbers: snapshot.serialNumbers)
    }

    /// A host from a snapshot in a file; nil where the path leads to no regular file.
    public nonisolated convenience init?(snapshotFile path: String) throws(HostError) {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        // A machine of 10,000 devices takes about 6 MB.
        let capacity = 64 << 20
        guard status.st_size <= capacity else {
            throw .badSnapshot(reason: "\(path) is larger than \(capacity) bytes")
        }
        let bytes: [UInt8]
        do throws(SystemError) { bytes = try Self.contents(of: path) } catch {
            throw .badSnapshot(reason: "\(path) cannot be read: \(errorText(error.errno))")
        }
        try self.init(name: path, snapshot: bytes)
    }

    private nonisolated static func contents(of path: String) throws(SystemError) -> [UInt8] {
        let file = clinux_openat(AT_FDCWD, path, O_RDONLY)
        guard file >= 0 else { throw SystemError(errno: -file) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let n = read(file, &chunk, chunk.count)
            if n < 0, errno == EINTR { continue }
            guard n >= 0 else { throw SystemError(errno: errno) }
            if n == 0 { return bytes }
            bytes += chunk[..<n]
        }
    }

    /// The machine that is built in: two sockets and a VMD domain, a graphics card with its audio function, a switch
    /// with a network card and its VFs, a PCIe-to-PCI bridge, NVMe disks, and a root port without ACS.
    ///
    /// Its root file system lies on the NVMe disk at the root port, and its way to the world is the network card on the
    /// board: what a claim must not take by accident.
    public static func demo() throws(HostError) -> SimulatedHost {
        let machine = try SimulatedHost(name: "the built-in demo machine", snapshot: PackageResources.demo_json)
        let uses: [(String, DeviceUse.Kind)] = [
            ("0000:02:00.0", .mounted(at: "/", via: "nvme0n1p2")), ("0000:02:00.0", .swap(via: "nvme0n1p3")),
            ("0000:03:00.0", .defaultRoute(interface: "enp3s0")),
        ]
        machine.uses = uses.compactMap { name, kind in PCIAddress(name).map { DeviceUse(.pci($0), kind) } }
        return machine
    }

    /// Its kernel, as it is now.
    public var kernel: SimulatedKernel {
        switch state {
        case .untouched(let inventory): SimulatedKernel(inventory)
        case .running(let kernel): kernel
        }
    }

    /// A device as it is now.
    public subscript(_ address: DeviceAddress) -> Device? {
        switch state {
        case .untouched(let inventory): inventory[address]
        case .running(let kernel): kernel[address]
        }
    }

    /// A function level reset, unless `SetReset` has taken it away: what else there is, a snapshot does not tell.
    public func resetMethods(of device: DeviceAddress) -> [String]? {
        let state: SimulatedDevice? =
            switch state {
            case .untouched(let inventory): inventory[device].map { SimulatedDevice($0) }
            case .running(let kernel): kernel.devices[device]
            }
        guard device.pci != nil, let state else { return nil }
        return state.reset == .absent ? [] : ["flr"]
    }

    public func serialNumbers(of devices: [DeviceAddress]) async -> [DeviceAddress: String] { serialNumbers }

    public func readInventory() async throws(HostError) -> Inventory {
        switch state {
        case .untouched(let inventory): inventory
        case .running(let kernel): kernel.inventory
        }
    }

    /// Lets the kernel do something; who awaits a change is woken if that was announced. As on a real host nobody is
    /// told of an override.
    public func perform<Value, Failure>(_ body: (inout SimulatedKernel) throws(Failure) -> Value) throws(Failure)
        -> Value
    {
        var kernel = kernel
        let before = kernel.ueventCount
        // Held here alone while it changes, so that nothing of it is copied.
        state = .untouched(Inventory())
        defer {
            if before != kernel.ueventCount {
                hasChanged = true
                for nap in naps.values { nap.cancel() }
            }
            state = .running(kernel)
            wakeWorkers()
        }
        return try body(&kernel)
    }

    /// Has the workers end whose calls have returned.
    private func wakeWorkers() {
        // A worker that goes on performs something itself.
        guard !blocked.isEmpty, !isWakingWorkers, case .running(let kernel) = state else { return }
        isWakingWorkers = true
        let ended = blocked.filter { $0.resumeIfReleased(kernel) }
        isWakingWorkers = false
        guard !ended.isEmpty else { return }
        blocked.removeAll { worker in ended.contains { $0 === worker } }
        for worker in ended { standIns.end(worker.id) }
    }

    public func awaitChange() async throws(LoopError) {
        if !hasChanged { try await sleepUntilChange() }
        hasChanged = false
    }

    private func sleepUntilChange() async throws(LoopError) {
        let nap = EventLoop.main.spawn { _ = try? await EventLoop.main.sleep(until: MonotonicTime(nanoseconds: .max)) }
        napNumber += 1
        let number = napNumber
        naps[number] = nap
        await withTaskCancellationHandler {
            await nap.value
        } onCancel: {
            nap.cancel()
        }
        naps[number] = nil
        if Task.isCancelled { throw .cancelled }
    }
}

extension Inventory {
    /// Reads a snapshot in its JSON form.
    public init(snapshot bytes: [UInt8]) throws(HostError) { try self.init(Manager.Snapshot(bytes: bytes)) }
}

extension Manager.Snapshot {
    fileprivate init(bytes: [UInt8]) throws(HostError) {
        let value: JSONValue
        do throws(JSONSyntaxError) {
            value = try JSONValue(parsing: String(decoding: bytes, as: UTF8.self), limits: .lenient)
        } catch {
            throw .badSnapshot(reason: "it is no JSON: \(error.reason) at byte \(error.offset)")
        }
        do throws(InvalidParameter) { self = try Manager.Snapshot(reading: value, .reply) } catch {
            throw .badSnapshot(reason: "\(error.path) is missing or not of its type")
        }
    }
}
