// What is done to a group while something else happens: each method of the takeover, on a group that is held, handed over
// or not yet taken.

import EventLoop
import Glibc
import Grouping
import Host
import Inventory
import PCI
import Registry
import TestSupport

@testable import SimulatedHost
@testable import Takeover

/// A method, and what it is called for.
enum MatrixScenario: String, CaseIterable, Sendable {
    case claim, claimVirtual, claimPhysical
    case launchBound, launchUnbound, launchContainer, launchPath
    case attach, attachLaunched, detach, detachLaunched
    case release, releaseLaunched, releaseByPath, releasePhysical
    case adopt, abandon
    /// A daemon starts: with a group held; handed over; and waiting on its way back for who still uses it.
    case start, startLaunched, startReleasing

    static let physical = device("0000:05:00.0")
    static let virtual = ["0000:05:00.1", "0000:05:00.2"].map(device)

    /// A port, a physical function behind it, and two virtual functions of that.
    static var functions: [Device] {
        var function = pciDevice("0000:05:00.0", parent: "0000:00:07.0", group: 9, driver: "ice")
        function.makePhysical(count: 2)
        return [
            pciDevice("0000:00:07.0", group: 8, isBridge: true, driver: "pcieport"), function,
            pciDevice(
                "0000:05:00.1", parent: "0000:00:07.0", group: 10, driver: "iavf", virtual: ("0000:05:00.0", 0)),
            pciDevice(
                "0000:05:00.2", parent: "0000:00:07.0", group: 11, driver: "iavf", virtual: ("0000:05:00.0", 1)),
        ]
    }

    /// What the method is about.
    @LoopActor var members: [DeviceAddress] {
        switch self {
        case .claimVirtual: [Self.virtual[0]]
        case .claimPhysical, .releasePhysical: [Self.physical]
        default: TestMachine.triple
        }
    }

    /// Whether the method is there without iommufd.
    var worksWithGroups: Bool { self != .launchBound && self != .launchUnbound }

    /// What a consumer has when the method is called, or is given by it.
    func access(hasIOMMUFD: Bool) -> Access {
        switch self {
        case .launchUnbound: .unbound
        case .launchContainer: .container
        case .launchPath, .releaseByPath: .path
        default: hasIOMMUFD ? .bound : .container
        }
    }

    /// Whether a consumer has the group before the method is called.
    var isLaunched: Bool {
        switch self {
        case .attachLaunched, .detachLaunched, .releaseLaunched, .releaseByPath, .abandon, .startLaunched,
            .startReleasing:
            true
        default: false
        }
    }
}

extension TestMachine {
    /// Does one thing with a takeover while the clock goes on; why it was refused.
    private func asked(
        _ daemon: MortalDaemon, _ body: @escaping @Sendable @LoopActor (Takeover) async throws(TakeoverError) -> Void
    ) async -> TakeoverError? {
        await running(daemon) {
            do throws(TakeoverError) {
                try await body(daemon.takeover)
                return nil
            } catch { return error }
        }
    }

    /// Brings the machine to where the method is called. A daemon does it that nothing happens to.
    ///
    /// - Returns: the consumer, where one has the group.
    func prepare(_ scenario: MatrixScenario) async throws -> SimulatedConsumer? {
        if scenario == .adopt { putOnVFIO() }
        let daemon = try await start()
        var consumer: SimulatedConsumer?
        let first = scenario.members[0]
        switch scenario {
        case .claim, .claimVirtual, .claimPhysical, .adopt: break
        case .attach, .attachLaunched:
            _ = try await claim(daemon, Self.single, lifetime: .process, name: "matrix").get()
        case .detach, .detachLaunched:
            _ = try await claim(daemon, Self.single, first, lifetime: .process, name: "matrix").get()
        case .releasePhysical:
            _ = try await claim(daemon, first, lifetime: .process, name: "matrix", force: [first]).get()
        default: _ = try await claim(daemon, first, lifetime: .process, name: "matrix").get()
        }
        if scenario.isLaunched {
            let access = scenario.access(hasIOMMUFD: hasIOMMUFD)
            let error = await asked(daemon) { (takeover) async throws(TakeoverError) in
                let granted = try await takeover.launch("matrix", access)
                guard let handover = granted.handover else { return }
                consumer = SimulatedConsumer(handover)
                await takeover.finishHandover(handover, of: granted.claim.claim.id)
            }
            if let error { throw error }
            consumer?.open(on: host)
            consumer?.bind(on: host)
        }
        if scenario == .startReleasing || scenario == .abandon {
            // It waits for the consumer.
            daemon.takeover.giveUp(daemon.takeover.claims.keys.first ?? "", cause: "a test releases it")
            await settle(daemon, within: .seconds(5))
        }
        daemon.kill()
        await settle(daemon, within: .seconds(1))
        return consumer
    }

    /// Calls the method. What it hands over is given to `consume`, with the reply.
    func call(
        _ scenario: MatrixScenario, _ daemon: MortalDaemon, consume: @escaping @LoopActor (SimulatedConsumer) -> Void
    ) async throws(TakeoverError) {
        let (takeover, life) = (daemon.takeover, daemon.life)
        let first = scenario.members[0]
        func id(_ device: DeviceAddress) -> String { daemon.registry.snapshot.group(of: device)?.id.text ?? "" }
        switch scenario {
        case .claim, .claimVirtual, .claimPhysical:
            _ = try await takeover.claim(
                ClaimRequest(
                    [.device(first)], name: "matrix", lifetime: .process,
                    force: scenario == .claimPhysical ? [first] : []),
                for: owner)
        case .launchBound, .launchUnbound, .launchContainer, .launchPath:
            let granted = try await takeover.launch("matrix", scenario.access(hasIOMMUFD: hasIOMMUFD))
            guard let handover = granted.handover else { return }
            life.affect(.reply, { consume(SimulatedConsumer(handover)) }, failing: {})
            await takeover.finishHandover(handover, of: granted.claim.claim.id)
        case .attach, .attachLaunched: _ = try await takeover.attach([.device(first)], to: "matrix")
        case .detach, .detachLaunched: _ = try await takeover.detach([id(first)], from: "matrix")
        case .release, .releaseLaunched, .releaseByPath, .releasePhysical: _ = try await takeover.release("matrix")
        case .adopt: _ = try await takeover.adopt(id(first), name: "matrix", lifetime: .process, for: owner)
        case .abandon: _ = try await takeover.abandon("matrix")
        case .start, .startLaunched, .startReleasing: break
        }
    }

    /// An administrator binds the group to vfio-pci by hand.
    private func putOnVFIO() {
        host.perform { kernel in
            try? kernel.loadModule("vfio-pci")
            for member in Self.triple {
                _ = kernel.write(.driverOverride(member, "vfio-pci\n"))
                if let driver = kernel[member]?.driver { _ = kernel.write(.unbind(member, from: driver)) }
                _ = kernel.write(.driversProbe(member))
            }
            kernel.settle()
        }
    }
}
