// A machine, its daemon and everybody who has to do with it, driven by chance, and a small model of what must be true.

import EventLoop
import Foundation
import Grouping
import Host
import Inventory
import PCI
import Registry
import TestSupport

@testable import SimulatedHost
@testable import Takeover

/// One run: a seed decides all that happens in it.
@LoopActor
final class RandomWorld {
    static let network = device("0000:01:00.0")
    static let card = ["0000:02:00.0", "0000:02:00.1"].map(device)
    static let disks = ["0000:00:05.0", "0000:03:00.0", "0000:03:01.0"].map(device)
    static let storage = device("0000:04:00.0")
    /// A physical function with two virtual ones.
    static let physical = device("0000:05:00.0")
    static let virtual = ["0000:05:00.1", "0000:05:00.2"].map(device)
    /// Where something can be plugged in beside the card.
    static let slot = device("0000:02:00.2")

    let host: SimulatedHost
    let clock = ManualClock()
    let folder = TemporaryFolder(inMemory: true)
    private let seed: UInt64
    private var exchanges: UInt16 = 0
    private var generator: Generator
    var daemon: MortalDaemon
    private var clients: [ProcessIdentity] = []
    var requests: [Task<Void, Never>] = []
    /// What consumers have open.
    let store = MachineStore()
    var consumers: [SimulatedConsumer] = []
    /// The iommufds that consumers have had.
    var seenIOMMUFDs: Set<SimulatedKernel.File> = []
    /// What each device is when it is in no claim.
    var expected: [DeviceAddress: DeviceBinding] = [:]
    /// Devices that somebody else changed while they were claimed or being given back: whose they are is not the daemon's
    /// to say.
    var meddled: Set<DeviceAddress> = []
    /// What happened, for whom looks for the reason of a failure.
    private(set) var history: [String] = []
    var failures: [String] = []
    var promisesSeen = 0

    init(seed: UInt64) async throws {
        self.seed = seed
        generator = Generator(state: seed)
        var physical = pciDevice("0000:05:00.0", parent: "0000:00:07.0", group: 9, driver: "ice")
        physical.makePhysical(count: 2)
        let inventory = machine([
            pciDevice("0000:00:01.0", group: 1, isBridge: true, driver: "pcieport"),
            pciDevice("0000:01:00.0", parent: "0000:00:01.0", group: 2, driver: "e1000e"),
            pciDevice("0000:00:02.0", group: 3, isBridge: true, driver: "pcieport"),
            pciDevice("0000:02:00.0", parent: "0000:00:02.0", group: 4, driver: "nvidia"),
            pciDevice("0000:02:00.1", parent: "0000:00:02.0", group: 4),
            pciDevice("0000:00:05.0", group: 5, isBridge: true, driver: "shpchp"),
            pciDevice("0000:03:00.0", parent: "0000:00:05.0", group: 5, driver: "ahci"),
            pciDevice("0000:03:01.0", parent: "0000:00:05.0", group: 5, driver: "sata_sil"),
            pciDevice("0000:00:06.0", group: 6, isBridge: true, driver: "pcieport"),
            pciDevice("0000:04:00.0", parent: "0000:00:06.0", group: 7, driver: "nvme"),
            pciDevice("0000:00:07.0", group: 8, isBridge: true, driver: "pcieport"), physical,
            pciDevice(
                "0000:05:00.1", parent: "0000:00:07.0", group: seed % 5 == 0 ? 9 : 10, driver: "iavf",
                virtual: ("0000:05:00.0", 0)),
            pciDevice(
                "0000:05:00.2", parent: "0000:00:07.0", group: seed % 5 == 0 ? 9 : 11, driver: "iavf",
                virtual: ("0000:05:00.0", 1)),
        ])
        var configuration = SimulatedKernel.Configuration(inventory.kernel)
        configuration.hasIOMMUFD = seed % 3 != 0
        configuration.overrideTakesDeviceLock = seed % 2 == 0
        host = SimulatedHost(name: "test", kernel: SimulatedKernel(inventory, configuration: configuration))
        host.clock = clock
        // Half of the worlds: nothing in /proc shows who has a device open.
        host.hidesHolders = seed % 4 >= 2
        daemon = try await MortalDaemon(host, journal: folder.path + "/claims", store: store)
        disturb()
        for _ in 0..<3 { clients.append(host.startProcess()) }
        for device in host.kernel.inventory.devices {
            expected[device.address] = try await host.readBinding(of: device.address)
        }
    }

    private var endpoints: [DeviceAddress] {
        [Self.network, Self.storage] + Self.card + Self.disks.dropFirst()
            + ([Self.slot, Self.physical] + Self.virtual).filter { host.kernel[$0] != nil }
    }

    private func pick<Element>(_ elements: [Element]) -> Element? { elements.randomElement(using: &generator) }
    private func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &generator) == 0 }

    func fail(_ message: String) { failures.append("after \(history.suffix(12)): \(message)") }

    // MARK: What happens

    /// One thing.
    func step() async throws {
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<25: claim()
        case 25..<40: release()
        case 40..<45: launch()
        case 45..<48: useDevices()
        case 48..<52: endConsumer()
        case 52..<56: changeGroups()
        case 56..<60: endClient()
        case 60..<66: plugOrUnplug()
        case 66..<72: meddle()
        case 72..<78: injectFault()
        case 78..<83: letGoOn()
        case 83..<86: await restart(after: nil)
        case 86..<89: await restart(after: Int.random(in: 1..<30, using: &generator))
        case 89..<92: askTheRest()
        default:
            history.append("time")
            clock.advance(to: clock.now + .milliseconds(Int.random(in: 1..<40_000, using: &generator)))
        }
        await turn(Int.random(in: 1..<30, using: &generator))
        check()
    }

    /// Lets everybody go on for a while.
    func turn(_ turns: Int) async { for _ in 0..<turns { await EventLoop.main.yield() } }

    private func ask(
        _ what: String, _ body: @escaping @Sendable @LoopActor (Takeover) async throws(TakeoverError) -> Void
    ) {
        history.append(what)
        let takeover = daemon.takeover
        requests.append(
            EventLoop.main.spawn { [weak self] in
                do throws(TakeoverError) { try await body(takeover) } catch {
                    if case .failed(let failure, let unrestored) = error { self?.hasFailed(failure, unrestored) }
                }
            })
    }

    private func claim() {
        guard let client = pick(clients), let first = pick(endpoints) else { return }
        var selectors: [GroupSelector] = [.device(first)]
        if chance(4), let second = pick(endpoints) { selectors.append(.device(second)) }
        let request = ClaimRequest(
            selectors, lifetime: pick([.process, .manual]) ?? .manual, force: chance(2) ? [first] : [],
            wait: chance(5) ? .seconds(20) : .zero)
        let owner = Owner(uid: 1000, gid: 1000, process: client)
        ask("claim \(selectors)") { (takeover) async throws(TakeoverError) in
            _ = try await takeover.claim(request, for: owner)
        }
    }

    private func release() {
        guard let id = pick(daemon.takeover.claims.keys.sorted()) else { return }
        ask("release") { (takeover) async throws(TakeoverError) in _ = try await takeover.release(id) }
    }

    private func launch() {
        guard let id = pick(daemon.takeover.claims.keys.sorted()),
            let access = pick([Access.bound, .unbound, .container, .path])
        else { return }
        ask("launch \(access)") { [weak self] (takeover) async throws(TakeoverError) in
            let granted = try await takeover.launch(id, access)
            guard let handover = granted.handover, let self else { return }
            noteIOMMUFD(of: handover)
            consumers.append(SimulatedConsumer(handover))
            await takeover.finishHandover(handover, of: id)
        }
    }

    private func endConsumer() {
        guard !consumers.isEmpty else { return }
        history.append("a consumer ends")
        let index = Int.random(in: 0..<consumers.count, using: &generator)
        var consumer = consumers.remove(at: index)
        consumer.end(on: host)
    }

    /// A consumer does something with what it was given, at last.
    private func useDevices() {
        guard let index = consumers.indices.randomElement(using: &generator) else { return }
        history.append("a consumer opens its devices")
        consumers[index].open(on: host)
        consumers[index].bind(on: host)
    }

    private func changeGroups() {
        guard let id = pick(daemon.takeover.claims.keys.sorted()), let device = pick(endpoints) else { return }
        if chance(2) {
            ask("attach \(device)") { (takeover) async throws(TakeoverError) in
                _ = try await takeover.attach([.device(device)], to: id)
            }
        } else if let group = daemon.takeover.claims[id]?.record.groups.first?.id.text {
            ask("detach \(group)") { (takeover) async throws(TakeoverError) in
                _ = try await takeover.detach([group], from: id)
            }
        }
    }

    private func endClient() {
        guard let index = clients.indices.randomElement(using: &generator) else { return }
        history.append("a client ends")
        host.endProcess(clients[index])
        clients[index] = host.startProcess()
    }

    /// A group is somebody's, or was until a moment ago.
    func isClaimed(_ device: DeviceAddress) -> Bool {
        if daemon.registry.snapshot.group(of: device)?.claim != nil { return true }
        return daemon.takeover.claims.values.contains { claim in
            claim.record.groups.contains { group in
                daemon.registry.snapshot.group(group.id)?.group.members.contains(device) ?? true
                    || group.members.contains { $0.address == device }
            }
        }
    }

    private func meddled(with device: DeviceAddress) { meddled.insert(device) }

    private func plugOrUnplug() {
        if host.kernel[Self.slot] == nil {
            history.append("plug")
            meddled(with: Self.slot)
            let new = pciDevice("0000:02:00.2", parent: "0000:00:02.0", driver: "xhci_hcd")
            guard let group = host.kernel[Self.card[0]]?.kernelGroup else { return }
            try? host.perform { (kernel) throws(KernelErrno) in try kernel.plug(new, into: .group(group)) }
        } else {
            history.append("unplug")
            _ = host.perform { $0.unplug(Self.slot) }
        }
        host.perform { $0.settle() }
    }

    /// Half of the worlds: others change devices at any moment, between a look and the call that rests on it as well. Half of
    /// them: the daemon hears of changes late.
    private func disturb() {
        daemon.host.scanTurns = seed % 4 < 2 ? 0 : 30
        guard seed % 2 == 0 else { return }
        daemon.life.after = { [weak self] _, _ in
            guard let self, chance(40) else { return }
            if chance(2) { exchange() } else { giveToHost() }
        }
    }

    /// Somebody gives a device back to its host driver.
    private func giveToHost() {
        guard let device = pick(endpoints.filter(isClaimed)) else { return }
        history.append("\(device) is given to a host driver")
        for device in device == Self.physical ? [device] + Self.virtual : [device] {
            meddled(with: device)
        }
        host.perform { kernel in
            _ = kernel.write(.driverOverride(device, "\n"))
            if let driver = kernel[device]?.driver { _ = kernel.write(.unbind(device, from: driver)) }
            _ = kernel.write(.driversProbe(device))
            kernel.settle()
        }
    }

    /// Before the daemon can hear of it another device sits in the slot, which vfio-pci was told to take (ids=).
    private func exchange() {
        guard isClaimed(Self.slot), host.kernel[Self.slot] != nil, host.kernel.files(of: Self.slot).isEmpty,
            let group = host.kernel[Self.card[0]]?.kernelGroup
        else { return }
        exchanges += 1
        history.append("another device in the slot")
        meddled(with: Self.slot)
        let other = pciDevice("0000:02:00.2", parent: "0000:00:02.0", driver: "vfio-pci", id: 0x4711 + exchanges)
        host.perform { kernel in
            _ = kernel.unplug(Self.slot)
            kernel.settle()
            if kernel[Self.slot] == nil { try? kernel.plug(other, into: .group(group)) }
            kernel.settle()
        }
    }

    /// Another program, or an administrator, writes to the same files.
    private func meddle() {
        guard let device = pick(endpoints) else { return }
        history.append("meddle with \(device)")
        meddled(with: device)
        if device == Self.physical || Self.virtual.contains(device) {
            for device in [Self.physical] + Self.virtual { meddled(with: device) }
            if chance(2), let physical = Self.physical.pci {
                let count = Int.random(in: 0..<3, using: &generator)
                _ = host.perform { $0.write(.numVFs(physical, count)) }
                return host.perform { $0.settle() }
            }
        }
        host.perform { kernel in
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: if let driver = kernel[device]?.driver { _ = kernel.write(.unbind(device, from: driver)) }
            case 1: _ = kernel.write(.driverOverride(device, "\n"))
            case 2: _ = kernel.write(.driversProbe(device))
            default:
                _ = kernel.write(.remove(device))
                _ = kernel.write(.rescan)
            }
            kernel.settle()
        }
    }

    private func injectFault() {
        guard let device = pick(endpoints), let step = pick(SimulatedFault.Step.allCases) else { return }
        let isOnTheWayBack = [.probe, .readDriverOverride].contains(step)
        let effect: SimulatedFault.Effect = chance(3) && !isOnTheWayBack ? .neverReturns : .fails(.eio)
        history.append("fault \(step) \(device)")
        host.perform { $0.inject(SimulatedFault(step, of: device, effect)) }
    }

    func letGoOn() {
        history.append("blocked calls go on")
        host.perform { kernel in
            kernel.clearFaults()
            kernel.releaseAll()
        }
    }

    private func askTheRest() {
        if let group = daemon.takeover.quarantines.keys.sorted().first { try? daemon.takeover.unquarantine(group.text) }
        guard let orphan = daemon.registry.snapshot.groups.first(where: { $0.state == .orphaned }),
            let client = pick(clients)
        else { return }
        for member in orphan.group.members { meddled(with: member) }
        let owner = Owner(uid: 1000, gid: 1000, process: client)
        ask("adopt \(orphan.id)") { (takeover) async throws(TakeoverError) in
            _ = try await takeover.adopt(orphan.id.text, name: nil, lifetime: .manual, for: owner)
        }
    }

    /// The daemon is killed, now or after so many effects, and another one started.
    func restart(after effects: Int?) async {
        history.append(effects.map { "killed after \($0) effects" } ?? "killed")
        daemon.kill()
        // A server that ends cuts its connections off.
        for request in requests { request.cancel() }
        for request in requests { await request.value }
        requests = []
        await turn(10)
        if chance(4) { changeVersion() }
        let life = effects.map { Life(.killedAfter($0)) } ?? Life()
        guard let next = try? await MortalDaemon(host, journal: folder.path + "/claims", store: store, life) else {
            return fail("a daemon does not start")
        }
        daemon = next
        disturb()
        daemon.takeover.randomBits = { [unowned self] in generator.next() }
        if let effects {
            claim()
            release()
            await turn(effects * 20)
            if daemon.life.isOver { return await restart(after: nil) }
        }
    }

    /// The package is downgraded, or upgraded again: the next daemon finds records that a newer one has written, with what
    /// it does not know, or its own.
    private func changeVersion() {
        let ours = #""version":1"#
        let newer = #""lease":{"until":9},"version":2"#
        let isDowngrade = chance(2)
        history.append(isDowngrade ? "the records are a newer daemon's" : "the records are of this version")
        let folder = folder.path + "/claims"
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where name.hasSuffix(".json") {
            guard let text = try? String(contentsOfFile: folder + "/" + name, encoding: .utf8) else { continue }
            let (old, new) = isDowngrade ? (ours, newer) : (newer, ours)
            try? text.replacingOccurrences(of: old, with: new)
                .write(toFile: folder + "/" + name, atomically: true, encoding: .utf8)
        }
    }
}
