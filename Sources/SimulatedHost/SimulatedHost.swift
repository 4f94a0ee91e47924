// A machine that exists only as a snapshot, with a simulated kernel. Nothing it shows can be claimed for real.

import EventLoop
import Host
import Inventory
import PCI

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
    public var uses: [DeviceUse] = [] {
        didSet {
            haveUsesChanged = true
            useNews.signal()
        }
    }
    private var haveUsesChanged = false
    private let useNews = Condition()
    public var timeAsleep = Duration.zero
    /// The host's clock; nil for the real one.
    public var clock: ManualClock?
    /// What the daemon did to devices that were not its to touch, in sentences: on a real host somebody lost a machine.
    public private(set) var brokenPromises: [String] = []
    /// Called with each of them.
    public var onBrokenPromise: (@LoopActor (String) -> Void)?
    /// Whether nobody but the daemon is found to have a device open, as it is with a descriptor in a socket.
    public var hidesHolders = false
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

    /// Notes what must not happen.
    func breakPromise(_ sentence: String) {
        brokenPromises.append(sentence)
        onBrokenPromise?(sentence)
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
        switch state.reset {
        case .absent: return []
        case .ofBus: return ["bus"]
        case .works, .fails, .leavesDead: return ["flr"]
        }
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

    public func awaitUseChange() async throws(LoopError) {
        try await useNews.wait { haveUsesChanged }
        haveUsesChanged = false
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
