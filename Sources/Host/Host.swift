// The seam between the daemon and a machine. All that the daemon learns of a host, and all that it does to one, goes
// through it; behind it is a real kernel or a simulated one.

public import EventLoop
import Files
import Inventory

/// A machine with devices.
@LoopActor
public protocol Host: AnyObject, Sendable {
    /// What it is, for a person: "this host", or where a simulation comes from.
    nonisolated var name: String { get }

    // MARK: Reading

    /// Reads everything anew. Called again, it may keep what cannot have changed.
    func readInventory() async throws(HostError) -> Inventory

    /// Suspends until something may have changed since the last call (or since the first inventory); what that was is
    /// seen by reading again. A host that never changes suspends until the task is cancelled.
    func awaitChange() async throws(LoopError)

    /// Reads what a takeover changes in a device, now; nil when there is no such device.
    ///
    /// - Throws: `.deviceBusy` when the kernel holds the device lock for longer than the host has patience.
    func readBinding(of device: DeviceAddress) async throws(HostError) -> DeviceBinding?

    /// Which driver has a device now; nil where that cannot be read. This never blocks.
    func driverLink(of device: DeviceAddress) -> DriverLink?

    /// Whether the kernel has a driver for the bus of a device; nil where that cannot be seen. This never blocks.
    func hasDriver(_ name: String, onBusOf device: DeviceAddress) -> Bool?

    /// What a PCI function is now, from what the kernel read of it once; nil where that cannot be read. This never blocks.
    func identification(of device: DeviceAddress) -> PCIFunction.Identification?

    /// How often a device is enabled now (`enable`), as `DeviceBinding.enableCount`. This never blocks.
    func enableCount(of device: DeviceAddress) -> Int?

    /// What the host itself uses of the devices.
    func uses(of devices: [DeviceAddress]) async -> [DeviceUse]

    /// Suspends until what the host uses may have changed since the last call: its mounts or its network interfaces. Much
    /// else that `uses` looks at changes without anybody being told. A host that does not tell suspends until the task is
    /// cancelled.
    func awaitUseChange() async throws(LoopError)

    /// Who else has a device of these open through vfio: its cdev, a descriptor from its group, or the group.
    ///
    /// - Throws: why that cannot be found out: nobody is not said of what could not be looked at.
    func holders(of devices: [DeviceAddress]) async throws(HostError) -> [DeviceHolder]

    /// The vfio driver made for this very device, which modules.alias names with `vfio_pci:`; nil when there is none
    /// and vfio-pci is the one. The name is the driver's, as an override needs it.
    func variantDriver(of device: DeviceAddress) async -> String?

    /// The ways to hand devices over that the kernel offers now; more may come when a module is loaded.
    func vfioInterfaces() async -> VFIOInterfaces

    /// A node as it is now; nil where it is not there yet, or leads to something else.
    ///
    /// - Throws: why that cannot be found out.
    func nodeStatus(of node: VFIONode) throws(HostError) -> NodeStatus?

    /// The kernel's ways to reset a device, in the order in which it tries them (`reset_method`, which does not wait for
    /// the device lock); empty where it has none, nil where that cannot be read.
    func resetMethods(of device: DeviceAddress) -> [String]?

    /// Whether a device answers the bus: one that is gone or dead gives ones alone for its vendor. nil where that cannot be
    /// read.
    func isAnswering(_ device: DeviceAddress) async -> Bool?

    /// The serial numbers of those devices that have one (Device Serial Number), read now.
    func serialNumbers(of devices: [DeviceAddress]) async -> [DeviceAddress: String]

    /// How long the machine has slept since it was started, suspended or hibernated (CLOCK_BOOTTIME counts that, and
    /// CLOCK_MONOTONIC does not).
    var timeAsleep: Duration { get }

    // MARK: Changing

    /// Makes a worker for a call; nothing is done before its `go`.
    ///
    /// - Throws: `.system` when no process can be made.
    func prepare(_ call: KernelCall) throws(HostError) -> any KernelWorker

    /// The worker that an earlier daemon left in the kernel; nil when it has ended.
    ///
    /// - Throws: why that cannot be found out.
    func findWorker(_ id: ProcessIdentity) throws(HostError) -> (any KernelWorker)?

    // MARK: What an earlier daemon left

    /// Whether a file is open on this node. One that is counts as the daemon's from then on.
    func recognizes(_ file: KernelFile, as node: VFIONode) -> Bool

    /// Whether a file is one that `open` gave of this process, which has not been reaped.
    func recognizes(_ file: KernelFile, as process: ProcessIdentity) -> Bool

    /// Whether a process has one of the nodes open that these files are open on.
    ///
    /// - Throws: why that cannot be found out.
    func hasOpen(_ files: [KernelFile], in pid: Int32) async throws(HostError) -> Bool

    // MARK: Processes and time

    /// Tells one boot from another (/proc/sys/kernel/random/boot_id).
    nonisolated var bootID: String { get }

    /// The process that has this number now; nil without one.
    func process(_ pid: Int32) -> ProcessIdentity?

    /// Whether a process has ended.
    ///
    /// - Throws: why that cannot be found out.
    func hasEnded(_ process: ProcessIdentity) throws(HostError) -> Bool

    /// A file that can be read from once the process has ended (a pidfd); nil when it has.
    ///
    /// - Throws: why that cannot be found out, or no file can be opened.
    func open(_ process: ProcessIdentity) throws(HostError) -> KernelFile?

    /// The time by the host's clock.
    var now: MonotonicTime { get }

    /// Suspends until the host's clock shows `deadline`.
    func sleep(until deadline: MonotonicTime) async throws(LoopError)
}

extension Host {
    public var now: MonotonicTime { .now }

    public func awaitUseChange() async throws(LoopError) {
        try await EventLoop.main.sleep(until: MonotonicTime(nanoseconds: .max))
    }

    public func driverLink(of device: DeviceAddress) -> DriverLink? { nil }

    public func hasDriver(_ name: String, onBusOf device: DeviceAddress) -> Bool? { nil }

    public func identification(of device: DeviceAddress) -> PCIFunction.Identification? { nil }

    public func enableCount(of device: DeviceAddress) -> Int? { nil }

    public func hasEnded(_ process: ProcessIdentity) throws(HostError) -> Bool {
        do throws(SystemError) { return try ProcessIdentity.now(of: process.pid) != process } catch {
            throw .system(call: "read /proc/\(process.pid)/stat", errno: error.errno)
        }
    }

    public func open(_ process: ProcessIdentity) throws(HostError) -> KernelFile? {
        do throws(SystemError) { return try process.open() } catch {
            throw .system(call: "pidfd_open of process \(process.pid)", errno: error.errno)
        }
    }

    public func recognizes(_ file: KernelFile, as node: VFIONode) -> Bool { false }

    public func recognizes(_ file: KernelFile, as process: ProcessIdentity) -> Bool { process.isOpen(as: file) }

    public func hasOpen(_ files: [KernelFile], in pid: Int32) async throws(HostError) -> Bool { false }

    public func nodeStatus(of node: VFIONode) throws(HostError) -> NodeStatus? { nil }

    public func resetMethods(of device: DeviceAddress) -> [String]? { nil }

    public func isAnswering(_ device: DeviceAddress) async -> Bool? { nil }

    public func serialNumbers(of devices: [DeviceAddress]) async -> [DeviceAddress: String] { [:] }

    public var timeAsleep: Duration { .zero }

    public func sleep(until deadline: MonotonicTime) async throws(LoopError) {
        try await EventLoop.main.sleep(until: deadline)
    }

    /// Suspends for as long by the host's clock.
    public func sleep(for duration: Duration) async throws(LoopError) { try await sleep(until: now + duration) }
}
