// One event that meets one effect of a method, on a machine of its own, and what must be true of that machine afterwards.

import EventLoop
import Grouping
import Host
import Inventory
import Registry
import TestSupport

@testable import SimulatedHost
@testable import Takeover

/// An effect of a method, and what happens at it.
struct MatrixPair: Sendable, CustomStringConvertible {
    var scenario: MatrixScenario
    var hasIOMMUFD: Bool
    /// nil for nothing: such a run counts the effects.
    var event: MatrixEvent?
    /// The effect, from 1.
    var effect: Int

    var description: String {
        "\(scenario)/\(hasIOMMUFD ? "cdev" : "legacy")/\(event.map(\.rawValue) ?? "nothing")/\(effect)"
    }
}

/// A run of such a pair.
@LoopActor
final class MatrixRun {
    /// What came of it.
    enum Outcome {
        /// The method has fewer effects, or the event cannot happen at this one.
        case notMet
        /// What is wrong; empty where every promise holds.
        case met([String])
    }

    private let pair: MatrixPair
    private let machine: TestMachine
    private var before: [DeviceAddress: DeviceBinding] = [:]
    private var consumer: SimulatedConsumer?
    private var meddled: Set<DeviceAddress> = []
    private var isMet = false
    /// The daemon that the method is asked of; nil while it starts.
    private var daemon: MortalDaemon?
    private var wrong: [String] = []
    /// The effects, for whom looks for the reason of a failure.
    private(set) var history: [String] = []
    /// How many effects there were.
    private(set) var effects = 0

    init(_ pair: MatrixPair) throws {
        self.pair = pair
        machine = try TestMachine(hasIOMMUFD: pair.hasIOMMUFD, more: MatrixScenario.functions)
    }

    private var host: SimulatedHost { machine.host }

    /// Does all of it.
    func run() async throws -> Outcome {
        host.onBrokenPromise = { [weak self] in self?.wrong.append("broken promise: \($0)") }
        before = try await machine.bindings()
        consumer = try await machine.prepare(pair.scenario)
        if pair.scenario == .adopt {
            before = try await machine.bindings()
        }
        let life = pair.event == .daemonKilled ? Life(.killedAfter(pair.effect)) : Life()
        try await perform(life)
        effects = life.effects
        guard isMet || pair.event == nil else { return .notMet }
        try await recover()
        return .met(wrong)
    }

    /// Calls the method; the event meets it on the way.
    private func perform(_ life: Life) async throws {
        let meet: @LoopActor (Int, Life.Effect) -> Void = { [weak self] number, effect in
            self?.history.append("\(effect)".prefix(60) + "...")
            guard let self, number == pair.effect, let event = pair.event else { return }
            let world = MatrixWorld(
                machine: machine, scenario: pair.scenario, life: life, daemon: daemon, choice: number)
            guard let changed = world.meets(event, effect, &consumer) else { return }
            meddled.formUnion(changed)
            isMet = true
        }
        if pair.event?.goesWrong == true { life.before = meet } else { life.after = meet }
        let started = try await machine.start(life)
        daemon = started
        var hasReplied = false
        let task = EventLoop.main.spawn { [self] in
            do throws(TakeoverError) {
                try await machine.call(pair.scenario, started) { self.consumer = $0 }
                if pair.scenario == .abandon { meddled.formUnion(pair.scenario.members) }
            } catch {}
            hasReplied = true
        }
        await machine.settle(started, within: .seconds(20)) { hasReplied || life.isOver }
        if pair.scenario == .startReleasing || pair.scenario == .start || pair.scenario == .startLaunched {
            await machine.settle(started, within: .seconds(20))
        }
        endTrouble(started)
        if !hasReplied, !life.isOver {
            // A release waits for who has the devices, for as long as that is.
            consumer?.end(on: host)
            await machine.settle(started, within: .seconds(20)) { hasReplied || life.isOver }
            endTrouble(started)
            await machine.settle(started, within: .seconds(600)) { hasReplied || life.isOver }
            if !hasReplied, !life.isOver {
                let doing = started.takeover.views.flatMap(\.groups).map { ($0.setback?.sentence, $0.operation) }
                wrong.append("no reply, though nothing is in the way any more: \(doing)")
            }
        }
        await machine.settle(started, within: .seconds(20))
        started.kill()
        task.cancel()
        await task.value
        await machine.settle(started, within: .seconds(1))
        daemon = nil
    }

    /// What was short is there again, and what was blocked goes on.
    private func endTrouble(_ daemon: MortalDaemon) {
        daemon.life.isJournalFull = false
        daemon.host.unknown = []
        host.perform { kernel in
            kernel.clearFaults()
            kernel.releaseAll()
            kernel.settle()
        }
    }

    /// Another daemon takes up what is left; then the consumer ends and all is released.
    private func recover() async throws {
        let daemon = try await machine.start()
        endTrouble(daemon)
        await machine.settle(daemon, within: .seconds(20))
        checkHeld(daemon)
        consumer?.end(on: host)
        await machine.settle(daemon, within: .seconds(20))
        for group in daemon.takeover.quarantines.keys { try daemon.takeover.unquarantine(group.text) }
        for id in daemon.takeover.claims.keys.sorted() {
            let takeover = daemon.takeover
            let release = EventLoop.main.spawn {
                do throws(TakeoverError) { _ = try await takeover.release(id) } catch {}
            }
            await machine.settle(daemon, within: .seconds(3600)) { takeover.claims[id] == nil }
            release.cancel()
            await release.value
        }
        for view in daemon.takeover.views {
            let reasons = view.groups.map { ($0.setback?.sentence, $0.operation) }
            wrong.append("claim \(view.claim.id) never ends: \(reasons)")
        }
        // What is closed is seen closed when the loop comes to it.
        host.collectClosedFiles()
        await machine.settle(daemon, within: .seconds(1))
        try await checkReleased(daemon)
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        if !machine.store.names.isEmpty { wrong.append("in the store are still \(machine.store.names)") }
    }

    /// What is claimed is on vfio, pinned and in one claim; what is not is as it was.
    private func checkHeld(_ daemon: MortalDaemon) {
        var claimed: [DeviceAddress: String] = [:]
        let kernel = host.kernel
        for view in daemon.takeover.views {
            for member in view.claim.groups.flatMap(\.pending) {
                if let other = claimed.updateValue(view.claim.id, forKey: member) {
                    wrong.append("\(member) is in \(other) and in \(view.claim.id)")
                }
            }
            guard view.state == .claimed else { continue }
            for member in view.claim.groups.flatMap(\.members)
            where member.isTouched && !meddled.contains(member.address) {
                guard let now = kernel.settledBinding(of: member.address) else { continue }
                if now.driver != member.vfioDriver { wrong.append("claimed and held: \(member.address) is \(now)") }
                if let pin = member.pin, now.driverOverride != pin { wrong.append("\(member.address) is not pinned") }
            }
        }
        for (device, binding) in before where claimed[device] == nil && !meddled.contains(device) {
            guard let now = kernel.settledBinding(of: device), now != binding else { continue }
            wrong.append("in no claim: \(device) is \(now) instead of \(binding)")
        }
    }

    /// Nothing of any claim is left.
    private func checkReleased(_ daemon: MortalDaemon) async throws {
        let kernel = host.kernel
        for device in kernel.inventory.devices.map(\.address) {
            guard let now = kernel.settledBinding(of: device) else { continue }
            if meddled.contains(device) || before[device] == nil {
                if pair.scenario != .abandon, now.driverOverride == Pin.noDriver {
                    wrong.append("at the end \(device) is still pinned")
                }
            } else if now != before[device] {
                wrong.append("at the end \(device) is \(now) instead of \(before[device].map { "\($0)" } ?? "")")
            }
        }
        for number in Set(kernel.inventory.devices.compactMap(\.kernelGroup)) where kernel.isOwned(number) {
            wrong.append("at the end kernel group \(number) is owned")
        }
        if !kernel.blockedOperations.isEmpty { wrong.append("at the end calls are blocked") }
        let left = try JournalFolder(path: machine.journal, bootID: "boot").load()
        if !left.claims.isEmpty { wrong.append("at the end there is on record \(left.claims.map(\.id))") }
    }
}
