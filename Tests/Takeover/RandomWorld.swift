// A machine, its daemon and everybody who has to do with it, driven by chance, and a small model of what must be true.

import EventLoop
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
    /// Where something can be plugged in beside the card.
    static let slot = device("0000:02:00.2")

    let host: SimulatedHost
    private let clock = ManualClock()
    private let folder = TemporaryFolder(inMemory: true)
    private var generator: Generator
    private var daemon: MortalDaemon
    private var clients: [ProcessIdentity] = []
    private var requests: [Task<Void, Never>] = []
    /// What consumers have open.
    private let store = MachineStore()
    private var consumers: [Consumer] = []
    /// What each device is when it is in no claim.
    private var expected: [DeviceAddress: DeviceBinding] = [:]
    /// Devices that somebody else changed while they were claimed or being given back: whose they are is not the daemon's
    /// to say.
    private var meddled: Set<DeviceAddress> = []
    /// What happened, for whom looks for the reason of a failure.
    private(set) var history: [String] = []
    private(set) var failures: [String] = []
    private var promisesSeen = 0

    init(seed: UInt64) async throws {
        generator = Generator(state: seed)
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
        ])
        var configuration = SimulatedKernel.Configuration(inventory.kernel)
        configuration.hasIOMMUFD = seed % 3 != 0
        configuration.overrideTakesDeviceLock = seed % 2 == 0
        host = SimulatedHost(name: "test", kernel: SimulatedKernel(inventory, configuration: configuration))
        host.clock = clock
        // Half of the worlds: nothing in /proc shows who has a device open.
        host.hidesHolders = seed % 4 >= 2
        daemon = try await MortalDaemon(host, journal: folder.path + "/claims", store: store)
        for _ in 0..<3 { clients.append(host.startProcess()) }
        for device in host.kernel.inventory.devices {
            expected[device.address] = try await host.readBinding(of: device.address)
        }
    }

    private var endpoints: [DeviceAddress] {
        [Self.network, Self.storage] + Self.card + Self.disks.dropFirst()
            + (host.kernel[Self.slot] == nil ? [] : [Self.slot])
    }

    private func pick<Element>(_ elements: [Element]) -> Element? { elements.randomElement(using: &generator) }
    private func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &generator) == 0 }

    private func fail(_ message: String) { failures.append("after \(history.suffix(12)): \(message)") }

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
    private func turn(_ turns: Int) async { for _ in 0..<turns { await EventLoop.main.yield() } }

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

    /// A client was told that a claim failed and what is not as it was: all else of the group is.
    private func hasFailed(_ failure: StepFailure, _ unrestored: [Unrestored]) {
        guard let record = daemon.registry.snapshot.group(failure.group), record.claim == nil, !daemon.life.isOver
        else {
            return
        }
        for member in record.group.members
        where !meddled.contains(member) && !unrestored.contains(where: { $0.device == member }) {
            guard let now = host.kernel.settledBinding(of: member), let before = expected[member] else { continue }
            if now != before { fail("a failed claim left \(member) as \(now) instead of \(before)") }
        }
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
            let files =
                handover.devices.map(\.file) + handover.groups.map(\.file)
                + [handover.container, handover.iommufd].compactMap { $0 }
            var copies: [KernelFile] = []
            for file in files { if let copy = file.copy() { copies.append(KernelFile(owning: copy.release())) } }
            consumers.append(
                Consumer(copies: copies, devices: handover.devices.map(\.device), nodes: handover.nodes.map(\.node)))
            await takeover.finishHandover(handover, of: id)
        }
    }

    private func endConsumer() {
        guard !consumers.isEmpty else { return }
        history.append("a consumer ends")
        let index = Int.random(in: 0..<consumers.count, using: &generator)
        consumers.remove(at: index).end(on: host)
    }

    /// A consumer does something with what it was given, at last.
    private func useDevices() {
        guard let index = consumers.indices.randomElement(using: &generator) else { return }
        history.append("a consumer opens its devices")
        consumers[index].open(on: host)
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
    private func isClaimed(_ device: DeviceAddress) -> Bool {
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

    /// Another program, or an administrator, writes to the same files.
    private func meddle() {
        guard let device = pick(endpoints) else { return }
        history.append("meddle with \(device)")
        meddled(with: device)
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

    private func letGoOn() {
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
    private func restart(after effects: Int?) async {
        history.append(effects.map { "killed after \($0) effects" } ?? "killed")
        daemon.kill()
        // A server that ends cuts its connections off.
        for request in requests { request.cancel() }
        for request in requests { await request.value }
        requests = []
        await turn(10)
        let life = effects.map { Life(.killedAfter($0)) } ?? Life()
        guard let next = try? await MortalDaemon(host, journal: folder.path + "/claims", store: store, life) else {
            return fail("a daemon does not start")
        }
        daemon = next
        daemon.takeover.randomBits = { [unowned self] in generator.next() }
        if let effects {
            claim()
            release()
            await turn(effects * 20)
            if daemon.life.isOver { return await restart(after: nil) }
        }
    }

    // MARK: What must be true

    private func check() {
        guard !daemon.life.isOver else { return }
        var owners: [GroupID: String] = [:]
        for claim in daemon.takeover.claims.values {
            for group in claim.record.groups {
                if let other = owners.updateValue(claim.id, forKey: group.id) {
                    fail("group \(group.id) is in \(claim.id) and in \(other)")
                }
            }
        }
        let kernel = host.kernel
        for record in daemon.registry.snapshot.groups where owners[record.id] == nil && record.claim == nil {
            for member in record.group.members where !meddled.contains(member) && !isClaimed(member) {
                guard let now = kernel.settledBinding(of: member), let before = expected[member] else { continue }
                if now != before { fail("\(member) is in no claim and \(now) instead of \(before)") }
            }
        }
        for promise in host.brokenPromises.dropFirst(promisesSeen) { fail("broken promise: \(promise)") }
        promisesSeen = host.brokenPromises.count
        if failures.count > 20 { failures = Array(failures.prefix(20)) }
    }

    /// The end: nothing goes wrong any more, all claims are released, and all is as it was.
    func finish() async {
        await restart(after: nil)
        for consumer in consumers { consumer.end(on: host) }
        consumers = []
        for round in 0..<200 {
            letGoOn()
            host.collectClosedFiles()
            for id in daemon.takeover.claims.keys.sorted() where daemon.takeover.claims[id]?.record.goal != .restore {
                let takeover = daemon.takeover
                requests.append(
                    EventLoop.main.spawn { do throws(TakeoverError) { _ = try await takeover.release(id) } catch {} })
            }
            await turn(200)
            if let next = clock.nextDeadline { clock.advance(to: next) }
            if daemon.takeover.claimCount == 0, host.kernel.blockedOperations.isEmpty { break }
            if round == 199 {
                fail("claims never end: \(daemon.takeover.views.map { "\($0.state) \($0.groups)" })")
            }
        }
        await turn(50)
        check()
        for (member, before) in expected {
            guard let now = host.kernel.settledBinding(of: member) else { continue }
            if !meddled.contains(member), now != before { fail("at the end \(member) is \(now) instead of \(before)") }
            if now.driverOverride == Pin.noDriver { fail("at the end \(member) is still pinned") }
        }
        let left = (try? JournalFolder(path: folder.path + "/claims", bootID: "boot").load())?.claims ?? []
        if !left.isEmpty { fail("at the end there is on record \(left)") }
        daemon.kill()
        await turn(10)
    }
}

/// A program that was given devices. It outlives whoever claimed them for it, and any daemon.
@LoopActor
private struct Consumer {
    /// What it was sent.
    var copies: [KernelFile]
    var devices: [DeviceAddress]
    /// What it may open.
    var nodes: [VFIONode]
    private var opened: [SimulatedKernel.File] = []

    init(copies: [KernelFile], devices: [DeviceAddress], nodes: [VFIONode]) {
        self.copies = copies
        self.devices = devices
        self.nodes = nodes
    }

    /// Opens what it was given, as far as the kernel lets it.
    mutating func open(on host: SimulatedHost) {
        let files = copies.compactMap { host.files.file($0) }
        let nodes = nodes
        opened += host.perform { kernel -> [SimulatedKernel.File] in
            var opened: [SimulatedKernel.File] = []
            var cdevs = files
            var iommufds = files
            for case .cdev(let device) in nodes {
                guard let number = kernel.vfioNumber(of: device), let cdev = try? kernel.openCdev(number) else {
                    continue
                }
                opened.append(cdev)
                cdevs.append(cdev)
            }
            if !nodes.isEmpty, let iommufd = try? kernel.openIOMMUFD() {
                opened.append(iommufd)
                iommufds.append(iommufd)
            }
            for cdev in cdevs { for iommufd in iommufds { try? kernel.bindIOMMUFD(cdev, iommufd) } }
            for group in files {
                guard case .group(let number, _)? = kernel.kind(group) else { continue }
                for member in kernel.members(ofGroup: number) {
                    if let device = try? kernel.getDevice(group, member) { opened.append(device) }
                }
            }
            return opened
        }
    }

    func end(on host: SimulatedHost) {
        for file in copies { file.letGo() }
        host.perform { kernel in for file in opened { kernel.closeWhateverHappens(file) } }
        host.collectClosedFiles()
    }
}

extension SimulatedKernel {
    /// What a device is, whatever goes on with it.
    func settledBinding(of address: DeviceAddress) -> DeviceBinding? {
        var kernel = self
        return (try? kernel.binding(of: address)) ?? nil
    }
}
