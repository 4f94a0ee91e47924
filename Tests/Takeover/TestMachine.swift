// A machine with a group of one, one of three and one of twelve members, its clock, and the folder of its journal.

import EventLoop
import Glibc
import Grouping
import Host
import Inventory
import PCI
import Registry
import SimulatedHost
import Testing
import TestSupport

@testable import Takeover

/// A device's address in a test.
func device(_ name: String) -> DeviceAddress {
    guard let address = PCIAddress(name) else { preconditionFailure("\(name) is no address") }
    return .pci(address)
}

/// A machine that daemons come and go on.
@LoopActor
final class TestMachine {
    static let single = device("0000:01:00.0")
    /// A function on e1000e, one on snd, one without a driver.
    static let triple = ["0000:02:00.0", "0000:02:00.1", "0000:02:00.2"].map(device)
    /// A port on pcieport, a bridge on shpchp, and ten functions.
    static let dozen =
        ["0000:00:05.0", "0000:03:00.0"].map(device) + (0..<8).map { device("0000:04:00.\($0)") }
        + (0..<2).map { device("0000:04:01.\($0)") }

    let host: SimulatedHost
    let clock = ManualClock()
    let folder = TemporaryFolder(inMemory: true)
    let store = MachineStore()
    let client: ProcessIdentity
    let hasIOMMUFD: Bool

    /// - Parameters:
    ///   - release: the kernel's.
    ///   - hasIOMMUFD: whether there are cdevs.
    ///   - more: further devices.
    ///   - parents: the functions that host bridges sit below.
    /// - Throws: what keeps the machine from being made.
    init(
        kernel release: String? = nil, hasIOMMUFD: Bool = true, more: [Device] = [],
        behind parents: [HostBridgeID: PCIAddress] = [:]
    ) throws {
        var devices = [
            pciDevice("0000:00:01.0", group: 1, isBridge: true, driver: "pcieport"),
            pciDevice("0000:01:00.0", parent: "0000:00:01.0", group: 2, driver: "e1000e"),
            pciDevice("0000:00:02.0", group: 3, isBridge: true, driver: "pcieport"),
            pciDevice("0000:02:00.0", parent: "0000:00:02.0", group: 4, driver: "nvidia"),
            pciDevice("0000:02:00.1", parent: "0000:00:02.0", group: 4, driver: "snd_hda_intel"),
            pciDevice("0000:02:00.2", parent: "0000:00:02.0", group: 4),
            pciDevice("0000:00:05.0", group: 5, isBridge: true, driver: "pcieport"),
            pciDevice("0000:03:00.0", parent: "0000:00:05.0", group: 5, isBridge: true, driver: "shpchp"),
        ]
        for function in 0..<8 {
            devices.append(
                pciDevice(
                    "0000:04:00.\(function)", parent: "0000:03:00.0", group: 5, driver: function == 3 ? nil : "igb"))
        }
        for function in 0..<2 {
            devices.append(pciDevice("0000:04:01.\(function)", parent: "0000:03:00.0", group: 5, driver: "nvme"))
        }
        self.hasIOMMUFD = hasIOMMUFD
        let inventory = machine(devices + more, kernel: release, behind: parents)
        var configuration = SimulatedKernel.Configuration(inventory.kernel)
        configuration.hasIOMMUFD = hasIOMMUFD
        var kernel = SimulatedKernel(inventory, configuration: configuration)
        // Things that must be there again afterwards.
        _ = kernel.write(.driverOverride(Self.dozen[4], "igb\n"))
        _ = kernel.write(.d3coldAllowed(Self.dozen[5], false))
        _ = kernel.write(.powerControl(Self.triple[0], .auto))
        host = SimulatedHost(name: "test", kernel: kernel)
        host.clock = clock
        host.onBrokenPromise = { Issue.record("\($0)") }
        client = host.startProcess()
    }

    var owner: Owner { Owner(uid: 1000, gid: 1000, process: client, command: "test") }
    var journal: String { folder.path + "/claims" }

    /// Sets who may open the nodes that are there.
    func setNodes(_ permissions: NodePermissions) throws {
        try host.perform { (kernel) throws(SimulatedKernel.Refusal) in
            for node in kernel.nodesInDev { try kernel.setPermissions(permissions, of: node) }
        }
    }

    func start(_ life: Life = Life(), unknown: Set<MortalHost.Unknown> = []) async throws -> MortalDaemon {
        try await MortalDaemon(host, journal: journal, store: store, life, unknown: unknown)
    }

    /// All that a takeover changes, of every device.
    func bindings() async throws -> [DeviceAddress: DeviceBinding] {
        var bindings: [DeviceAddress: DeviceBinding] = [:]
        for device in try await host.readInventory().devices {
            bindings[device.address] = try await host.readBinding(of: device.address)
        }
        return bindings
    }

    /// Suspends until `isTrue`. When nothing moves any more, the clock goes on to when something is due.
    func settle(
        _ daemon: MortalDaemon, within limit: Duration = .seconds(3600),
        until isTrue: @LoopActor () -> Bool = { false }
    ) async {
        let end = clock.now + limit
        var activity = -1
        var quiet = 0
        while !isTrue() {
            await EventLoop.main.yield()
            if daemon.host.activity != activity {
                activity = daemon.host.activity
                quiet = 0
                continue
            }
            quiet += 1
            guard quiet > 40 else { continue }
            guard let next = clock.nextDeadline, next <= end else { return }
            clock.advance(to: next)
            quiet = 0
        }
    }

    /// Does something while the clock goes on by itself.
    func running<Value: Sendable>(
        _ daemon: MortalDaemon, _ body: @escaping @Sendable @LoopActor () async -> Value
    ) async -> Value {
        var value: Value?
        let task = EventLoop.main.spawn { value = await body() }
        await settle(daemon) { value != nil }
        await task.value
        guard let value else { preconditionFailure("the task has ended without its value") }
        return value
    }

    /// Claims, and waits for what comes of it.
    func claim(
        _ daemon: MortalDaemon, _ devices: DeviceAddress..., lifetime: Lifetime = .manual, access: Access = .hold,
        name: String? = nil, force: [DeviceAddress] = [], wait: Duration = .zero
    ) async -> Result<Takeover.Granted, TakeoverError> {
        let owner = owner
        return await running(daemon) {
            do throws(TakeoverError) {
                return .success(
                    try await daemon.takeover.claim(
                        ClaimRequest(
                            devices.map { .device($0) }, name: name, lifetime: lifetime, access: access, force: force,
                            wait: wait),
                        for: owner))
            } catch { return .failure(error) }
        }
    }

    /// Launches, and does what a consumer does with what it gets: keeps copies.
    func launch(
        _ daemon: MortalDaemon, _ claim: String, _ access: Access,
        leaveOut: [DeviceAddress] = [], user: UInt32? = nil, consumerTimeout: ConsumerTimeout? = nil
    ) async throws -> (handover: Handover, copies: [KernelFile]) {
        let result = await running(daemon) { () -> Result<(Handover, [KernelFile]), TakeoverError> in
            do throws(TakeoverError) {
                let granted = try await daemon.takeover.launch(
                    claim, access, leaveOut: leaveOut, user: user, consumerTimeout: consumerTimeout)
                guard let handover = granted.handover else { return .failure(.stopped) }
                var copies: [KernelFile] = []
                let files = handover.devices.map(\.file) + handover.groups.map(\.file)
                for file in files + [handover.container, handover.iommufd].compactMap({ $0 }) {
                    if let copy = file.copy() { copies.append(KernelFile(owning: copy.release())) }
                }
                await daemon.takeover.finishHandover(handover, of: claim)
                return .success((handover, copies))
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    func release(_ daemon: MortalDaemon, _ name: String) async -> Result<ClaimView, TakeoverError> {
        await running(daemon) {
            do throws(TakeoverError) { return .success(try await daemon.takeover.release(name)) } catch {
                return .failure(error)
            }
        }
    }
}
