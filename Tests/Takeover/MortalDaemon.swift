// A daemon that can be killed at any effect, on a machine that outlives it.

import EventLoop
import Files
import Glibc
import Grouping
import Host
import Inventory
import Registry
import SimulatedHost
import Testing

@testable import Takeover

/// How much longer a daemon lives: every effect that it has on the world takes a little of it.
@LoopActor
final class Life {
    /// What goes wrong, and at which effect, counted from 1.
    enum Fate: Equatable {
        case none
        case killedAfter(Int)
        /// The call fails with EIO and does nothing; a write to the journal fails with ENOSPC.
        case failsAt(Int)
    }

    /// What an effect is.
    enum Effect {
        case call(KernelCall)
        case journal, store, reply
    }

    let fate: Fate
    private(set) var effects = 0
    private(set) var isOver = false
    var onDeath: (@LoopActor () -> Void)?
    /// Called before and after each effect, with its number from 1.
    var before: (@LoopActor (Int, Effect) -> Void)?
    var after: (@LoopActor (Int, Effect) -> Void)?
    /// Where the journal lies there is no room: ENOSPC.
    var isJournalFull = false

    init(_ fate: Fate = .none) { self.fate = fate }

    /// Has an effect, unless it goes wrong.
    func affect(_ kind: Effect, _ effect: () -> Void, failing: () -> Void) {
        guard !isOver else { return }
        effects += 1
        let number = effects
        before?(number, kind)
        defer { after?(number, kind) }
        if fate == .failsAt(effects) { return failing() }
        if case .journal = kind, isJournalFull { return failing() }
        effect()
        if fate == .killedAfter(effects) { end() }
    }

    func end() {
        guard !isOver else { return }
        isOver = true
        onDeath?()
    }
}

/// The machine as a daemon sees it while it lives.
@LoopActor
final class MortalHost: Host {
    let machine: SimulatedHost
    let life: Life
    /// Counts whatever is asked of it, to see when nobody asks any more.
    private(set) var activity = 0
    private var files: [Weak] = []

    /// What cannot be found out for want of descriptors.
    enum Unknown: CaseIterable {
        case processes, holders, nodes, workers, bindings
    }

    var unknown: Set<Unknown> = []

    private func find(_ fact: Unknown) throws(HostError) {
        if unknown.contains(fact) { throw .system(call: "open", errno: EMFILE) }
    }

    private struct Weak {
        weak var file: KernelFile?
    }

    init(_ machine: SimulatedHost, _ life: Life) {
        self.machine = machine
        self.life = life
    }

    nonisolated var name: String { "a machine that outlives its daemon" }
    nonisolated var bootID: String { "boot" }
    var now: MonotonicTime { machine.now }
    var timeAsleep: Duration { machine.timeAsleep }

    /// A process that is killed has nothing open any more.
    func closeFiles() { for weak in files { weak.file?.letGo() } }

    /// How many turns of the loop a scan takes: what changes meanwhile is not in it.
    var scanTurns = 0

    func readInventory() async throws(HostError) -> Inventory {
        let inventory = try await machine.readInventory()
        for _ in 0..<scanTurns where !life.isOver { await EventLoop.main.yield() }
        return inventory
    }
    func awaitChange() async throws(LoopError) { try await machine.awaitChange() }
    func uses(of devices: [DeviceAddress]) async -> [DeviceUse] { await machine.uses(of: devices) }
    func awaitUseChange() async throws(LoopError) { try await machine.awaitUseChange() }
    func driverLink(of device: DeviceAddress) -> DriverLink? { life.isOver ? nil : machine.driverLink(of: device) }
    func holders(of devices: [DeviceAddress]) async throws(HostError) -> [DeviceHolder] {
        try find(.holders)
        return try await machine.holders(of: devices)
    }
    func hasDriver(_ name: String, onBusOf device: DeviceAddress) -> Bool? {
        life.isOver ? nil : machine.hasDriver(name, onBusOf: device)
    }
    func variantDriver(of device: DeviceAddress) async -> String? { await machine.variantDriver(of: device) }
    func identification(of device: DeviceAddress) -> PCIFunction.Identification? {
        life.isOver ? nil : machine.identification(of: device)
    }
    func enableCount(of device: DeviceAddress) -> Int? { life.isOver ? nil : machine.enableCount(of: device) }
    func resetMethods(of device: DeviceAddress) -> [String]? { machine.resetMethods(of: device) }
    func isAnswering(_ device: DeviceAddress) async -> Bool? { await machine.isAnswering(device) }
    func vfioInterfaces() async -> VFIOInterfaces { await machine.vfioInterfaces() }
    func nodeStatus(of node: VFIONode) throws(HostError) -> NodeStatus? {
        try find(.nodes)
        return try machine.nodeStatus(of: node)
    }
    func process(_ pid: Int32) -> ProcessIdentity? { machine.process(pid) }
    func hasEnded(_ process: ProcessIdentity) throws(HostError) -> Bool {
        try find(.processes)
        return try machine.hasEnded(process)
    }
    func open(_ process: ProcessIdentity) throws(HostError) -> KernelFile? {
        try find(.processes)
        let file = try machine.open(process)
        if let file { opened(file) }
        return file
    }
    func recognizes(_ file: KernelFile, as node: VFIONode) -> Bool {
        opened(file)
        return machine.recognizes(file, as: node)
    }
    func recognizes(_ file: KernelFile, as process: ProcessIdentity) -> Bool {
        opened(file)
        return machine.recognizes(file, as: process)
    }

    func readBinding(of device: DeviceAddress) async throws(HostError) -> DeviceBinding? {
        activity += 1
        if life.isOver { throw .system(call: "read", errno: EIO) }
        try find(.bindings)
        return try await machine.readBinding(of: device)
    }

    func sleep(until deadline: MonotonicTime) async throws(LoopError) {
        if life.isOver { throw .cancelled }
        try await machine.sleep(until: deadline)
        if life.isOver { throw .cancelled }
    }

    func prepare(_ call: KernelCall) throws(HostError) -> any KernelWorker {
        activity += 1
        if life.isOver { throw .system(call: "fork", errno: EAGAIN) }
        return MortalWorker(try machine.prepare(call), call, self)
    }

    func findWorker(_ id: ProcessIdentity) throws(HostError) -> (any KernelWorker)? {
        try find(.workers)
        return try machine.findWorker(id)
    }

    fileprivate func opened(_ file: KernelFile) { files.append(Weak(file: file)) }
}

@LoopActor
private final class MortalWorker: KernelWorker {
    let worker: any KernelWorker
    let call: KernelCall
    let host: MortalHost
    private var failed = false

    init(_ worker: any KernelWorker, _ call: KernelCall, _ host: MortalHost) {
        self.worker = worker
        self.call = call
        self.host = host
    }

    var id: ProcessIdentity { worker.id }

    func go() { host.life.affect(.call(call), { worker.go() }, failing: { failed = true }) }

    func outcome() async throws(LoopError) -> CallOutcome {
        if host.life.isOver { throw .cancelled }
        if failed { return .failed(errno: EIO) }
        let outcome = try await worker.outcome()
        if case .done(.file(let file)) = outcome { host.opened(file) }
        if host.life.isOver { throw .cancelled }
        return outcome
    }
}

/// A journal whose writer may be killed after, or fail in, any write.
@LoopActor
final class MortalJournal: ClaimJournal {
    let folder: JournalFolder
    let life: Life

    init(_ folder: JournalFolder, _ life: Life) {
        self.folder = folder
        self.life = life
    }

    private func write(_ body: () throws(FileFailure) -> Void) throws(FileFailure) {
        var failure: FileFailure?
        var isDone = false
        life.affect(
            .journal,
            {
                isDone = true
                do throws(FileFailure) { try body() } catch { failure = error }
            }, failing: {})
        if let failure { throw failure }
        if !isDone { throw FileFailure(path: folder.path, call: "write", errno: ENOSPC) }
    }

    func save(_ claim: Claim) throws(FileFailure) { try write { () throws(FileFailure) in try folder.save(claim) } }
    func remove(_ id: String) throws(FileFailure) { try write { () throws(FileFailure) in try folder.remove(id) } }
    func setQuarantine(_ quarantine: Quarantine?, of group: GroupID) throws(FileFailure) {
        try write { () throws(FileFailure) in try folder.setQuarantine(quarantine, of: group) }
    }
    func load() throws(FileFailure) -> JournalContents { try folder.load() }
}

/// A store of descriptors that outlives its daemons, as a service manager's does.
@LoopActor
final class MachineStore {
    /// By name, in the order in which they came.
    private(set) var kept: [(name: String, file: KernelFile)] = []
    var capacity = 4096

    var names: [String] { kept.map(\.name) }

    func keep(_ descriptor: Int32, as name: String) {
        let copy = dup(descriptor)
        guard copy >= 0, kept.count < capacity else { return }
        kept.append((name, KernelFile(owning: copy)))
    }

    func drop(_ name: String) {
        for entry in kept where entry.name == name { entry.file.letGo() }
        kept.removeAll { $0.name == name }
    }

    /// Copies of all, for a daemon that starts.
    func passed() -> [StoredDescriptor] {
        kept.map { StoredDescriptor(name: $0.name, descriptor: dup($0.file.number)) }
    }
}

/// The store as a daemon sees it while it lives. What it is told to drop it drops later, also when the daemon is gone.
@LoopActor
final class MortalStore: DescriptorStore {
    let store: MachineStore
    let life: Life
    nonisolated let capacity: Int
    nonisolated let keeper: Int32 = 1
    /// It is told things and does nothing.
    var isSilent = false
    private var drops: [String] = []

    init(_ store: MachineStore, _ life: Life) {
        self.store = store
        self.life = life
        capacity = store.capacity
    }

    func keep(_ descriptor: Int32, as name: String) async throws(DescriptorStoreError) {
        var isDone = false
        life.affect(
            .store,
            {
                doDrops()
                store.keep(descriptor, as: name)
                isDone = true
            }, failing: {})
        if !isDone { throw .init(reason: "it does not answer") }
    }

    func drop(_ name: String) {
        let effect = { self.drops.append(name) }
        life.affect(.store, effect, failing: effect)
        EventLoop.main.atEndOfTurn { self.doDrops() }
    }

    func settle() async throws(DescriptorStoreError) {
        var isDone = false
        if isSilent { throw .init(reason: "it does not answer") }
        life.affect(.store, { isDone = true }, failing: {})
        // Whoever does not answer may still do what it was told.
        doDrops()
        if !isDone { throw .init(reason: "it does not answer") }
    }

    private func doDrops() {
        guard !isSilent else { return }
        for name in drops { store.drop(name) }
        drops = []
    }
}

/// A daemon: a registry and a takeover, which follow the host.
@LoopActor
final class MortalDaemon {
    let host: MortalHost
    let life: Life
    let store: MortalStore
    let takeover: Takeover
    private(set) var registry: Registry
    /// What was told, in order.
    private(set) var claimEvents: [ClaimEvent] = []
    private(set) var events: [RegistryEvent] = []
    private(set) var reports: [String] = []
    private var following: Task<Void, Never>?

    init(
        _ machine: SimulatedHost, journal: String, store: MachineStore, _ life: Life = Life(),
        unknown: Set<MortalHost.Unknown> = []
    ) async throws {
        self.life = life
        host = MortalHost(machine, life)
        host.unknown = unknown
        registry = Registry(try await host.readInventory(), policy: .auto)
        self.store = MortalStore(store, life)
        takeover = Takeover(
            host, journal: MortalJournal(try JournalFolder(path: journal, bootID: "boot"), life), store: self.store,
            snapshot: registry.snapshot)
        // A clock that goes on to whatever is due next would stop at every look, and tests would take hours.
        takeover.timing.memberLook = .seconds(7200)
        life.onDeath = { [weak self] in self?.die() }
        try takeover.recover(store.passed(), for: self)
        following = EventLoop.main.spawn { [weak self, host] in
            while true {
                do throws(LoopError) { try await host.awaitChange() } catch { return }
                guard let self, !self.life.isOver else { return }
                await self.refresh()
            }
        }
    }

    private func die() {
        following?.cancel()
        takeover.stop()
        host.closeFiles()
    }

    /// Ends it as systemd does, or as a kill does: nothing is undone.
    func kill() { life.end() }

    func state(_ device: DeviceAddress) -> GroupState? { registry.snapshot.group(of: device)?.state }
}

extension MortalDaemon: RegistryKeeper {
    var snapshot: Snapshot { registry.snapshot }

    func refresh() async {
        guard let inventory = try? await host.readInventory(), !life.isOver else { return }
        events += registry.update(inventory)
        takeover.hostChanged()
    }

    func claimsChanged(_ events: [ClaimEvent]) {
        claimEvents += events
        self.events += registry.hold(takeover.holdings)
    }

    func keepIdentities(of groups: [KnownGroup]) { registry.keepIdentities(of: groups) }
    func devicesWereAccepted() {}
    func unit(of process: ProcessIdentity) -> String? { nil }
    func report(_ message: String) { reports.append(message) }
}

extension ClaimEvent {
    var isJoining: Bool { if case .memberAdded = change { true } else { false } }
    var isRemovalRequest: Bool { if case .removalRequested = change { true } else { false } }
    var isRetaking: Bool { if case .memberRetaken = change { true } else { false } }
}
