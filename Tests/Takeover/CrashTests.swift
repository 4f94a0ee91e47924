// The daemon is killed after every single effect that it has on the world, or every one of them fails: afterwards every
// member is either its owner's or exactly as it was.

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

/// What is done while the daemon is killed, to a group of how many members.
enum CrashScenario: CaseIterable {
    case claim, attach, detach, release
    /// Handed over by path; a consumer that never came, and one that is given up on.
    case launch, regain, releaseLaunched

    static let sizes = [1, 3, 12]

    /// Nodes are given to a user in it.
    var isLaunched: Bool { self == .launch || self == .regain || self == .releaseLaunched }

    /// By cdevs and by the legacy interface; of the largest group the second only on request, and neither where it is
    /// launched, because it takes minutes and meets the same code as the smaller ones.
    func interfaces(_ size: Int) -> [Bool] {
        if size < 12 || getenv("VFIOGROUPD_TEST_FULL") != nil { return [true, false] }
        print(
            "skipped: \(self) of \(size) members by \(isLaunched ? "either" : "the legacy") interface; "
                + "VFIOGROUPD_TEST_FULL=1 includes it")
        return isLaunched ? [] : [true]
    }

    @LoopActor static func member(ofSize size: Int) -> DeviceAddress {
        size == 1 ? TestMachine.single : size == 3 ? TestMachine.triple[1] : TestMachine.dozen[2]
    }

    /// Another group, which the claim has as well.
    @LoopActor static func companion(ofSize size: Int) -> DeviceAddress {
        size == 1 ? TestMachine.triple[0] : TestMachine.single
    }
}

/// One run of a scenario, on a machine of its own.
@LoopActor
struct CrashRun {
    let scenario: CrashScenario
    let size: Int
    let machine: TestMachine
    let before: [DeviceAddress: DeviceBinding]
    private var claimName = "crash"

    init(_ scenario: CrashScenario, size: Int, hasIOMMUFD: Bool) async throws {
        self.scenario = scenario
        self.size = size
        machine = try TestMachine(hasIOMMUFD: hasIOMMUFD)
        before = try await machine.bindings()
    }

    private var member: DeviceAddress { CrashScenario.member(ofSize: size) }
    private var companion: DeviceAddress { CrashScenario.companion(ofSize: size) }
    private var companionGroup: Int { size == 1 ? 4 : 2 }
    /// Whether the companion's group is held from beginning to end.
    private var holdsCompanion: Bool { scenario == .attach || scenario == .detach }

    /// What a udev rule may have made of nodes.
    private static let byRule = NodePermissions(uid: 0, gid: 7, mode: 0o660)

    private func launch(_ daemon: MortalDaemon) async -> TakeoverError? {
        let name = claimName
        return await machine.running(daemon) {
            do throws(TakeoverError) {
                let granted = try await daemon.takeover.launch(name, .path)
                guard let handover = granted.handover else { return nil }
                await daemon.takeover.finishHandover(handover, of: granted.claim.claim.id)
                return nil
            } catch { return error }
        }
    }

    /// What has to be there before, by a daemon that nothing happens to.
    func prepare() async throws {
        guard scenario != .claim else { return }
        let daemon = try await machine.start()
        switch scenario {
        case .claim: break
        case .attach: _ = try await machine.claim(daemon, companion, name: claimName).get()
        case .detach: _ = try await machine.claim(daemon, companion, member, name: claimName).get()
        case .release, .launch: _ = try await machine.claim(daemon, member, name: claimName).get()
        case .regain, .releaseLaunched:
            _ = try await machine.claim(daemon, member, name: claimName).get()
            try machine.setNodes(Self.byRule)
            if let error = await launch(daemon) { throw error }
        }
        if scenario == .launch { try machine.setNodes(Self.byRule) }
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
    }

    /// Does it; whether the daemon lived to reply, and what it said.
    func run(_ life: Life) async throws -> (hasReplied: Bool, error: TakeoverError?) {
        let daemon = try await machine.start(life)
        var error: TakeoverError?
        // The start of a daemon has effects of its own.
        if !life.isOver {
            let group = daemon.registry.snapshot.group(of: member)?.id.text ?? ""
            switch scenario {
            case .claim:
                if case .failure(let failure) = await machine.claim(daemon, member, name: claimName) { error = failure }
            case .attach:
                let (member, name) = (member, claimName)
                error = await machine.running(daemon) {
                    do throws(TakeoverError) {
                        _ = try await daemon.takeover.attach([.device(member)], to: name)
                        return nil
                    } catch { return error }
                }
            case .detach:
                let name = claimName
                error = await machine.running(daemon) {
                    do throws(TakeoverError) {
                        _ = try await daemon.takeover.detach([group], from: name)
                        return nil
                    } catch { return error }
                }
            case .release, .releaseLaunched:
                if case .failure(let failure) = await machine.release(daemon, claimName) { error = failure }
            case .launch: error = await launch(daemon)
            case .regain: await machine.settle(daemon, within: .seconds(60))
            }
        }
        let hasReplied = !life.isOver
        if life.fate == .none || hasReplied {
            // What goes on after the reply, a retry above all, comes to its end.
            await machine.settle(daemon)
        }
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        return (hasReplied, error)
    }

    /// A new daemon takes over; what is wrong when it has done what it does.
    ///
    /// - Parameters:
    ///   - mayBeQuarantined: a failed reset may have put a group in quarantine.
    ///   - canLoseStore: a descriptor may not have reached the store.
    /// - Returns: what is wrong, in words; empty where nothing is.
    /// - Throws: what kept the new daemon from starting.
    func verify(mayBeQuarantined: Bool = false, canLoseStore: Bool = false) async throws -> [String] {
        var wrong: [String] = []
        if holdsCompanion, !canLoseStore {
            machine.host.collectClosedFiles()
            if !machine.host.kernel.isOwned(companionGroup) { wrong.append("the companion is not owned meanwhile") }
        }
        let daemon = try await machine.start()
        await machine.settle(daemon)
        if mayBeQuarantined {
            for group in daemon.takeover.quarantines.keys { try daemon.takeover.unquarantine(group.text) }
        }
        let after = try await machine.bindings()
        let kernel = machine.host.kernel
        for group in daemon.registry.snapshot.groups {
            let claims = daemon.takeover.views.filter { $0.claim.groups.contains { $0.id == group.id } }
            guard let claim = claims.first else {
                for member in group.group.members where after[member] != before[member] {
                    wrong.append("\(member) is in no claim and not as it was: \(String(describing: after[member]))")
                }
                if group.state != .available, group.group.kernelGroups != [1], group.group.kernelGroups != [3] {
                    wrong.append("group \(group.id) is \(group.state.name)")
                }
                for number in group.group.kernelGroups where kernel.isOwned(number) {
                    wrong.append("kernel group \(number) is owned by nobody knows whom")
                }
                continue
            }
            if claim.state != .claimed { wrong.append("claim of \(group.id) is \(claim.state)") }
            for member in claim.groups.first(where: { $0.record.id == group.id })?.record.members ?? [] {
                if after[member.address]?.driver != member.vfioDriver, member.isTouched {
                    wrong.append("\(member.address) is claimed and on \(after[member.address]?.driver ?? "nothing")")
                }
                if let pin = member.pin, after[member.address]?.driverOverride != pin {
                    wrong.append("\(member.address) is claimed and not pinned")
                }
                if !member.isTouched, after[member.address] != before[member.address] {
                    wrong.append("\(member.address) is not touched and different")
                }
            }
            for number in group.group.kernelGroups where !kernel.isOwned(number) {
                wrong.append("kernel group \(number) is claimed and not owned")
            }
            if scenario.isLaunched {
                for node in kernel.nodesInDev where kernel.permissions(of: node) != Self.byRule {
                    wrong.append("\(node) is not as it was: \(String(describing: kernel.permissions(of: node)))")
                }
            }
        }
        // And back: what the record says is the whole truth.
        for view in daemon.takeover.views { _ = await machine.release(daemon, view.claim.id) }
        await machine.settle(daemon)
        if try await machine.bindings() != before { wrong.append("after the release of all it is not as it was") }
        let left = try JournalFolder(path: machine.journal, bootID: "boot").load()
        if left != JournalContents() { wrong.append("on record is still \(left)") }
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        if !machine.store.names.isEmpty { wrong.append("in the store are still \(machine.store.names)") }
        return wrong
    }
}

@Suite("A daemon that is killed", .timeLimit(.minutes(25)))
struct CrashTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test(
        "after any effect leaves every member its owner's or exactly as it was, once there is a new one",
        arguments: CrashScenario.allCases, CrashScenario.sizes)
    @LoopActor func killed(scenario: CrashScenario, size: Int) async throws {
        var points = 0
        let interfaces = scenario.interfaces(size)
        for hasIOMMUFD in interfaces {
            var effects = 1
            while true {
                let run = try await CrashRun(scenario, size: size, hasIOMMUFD: hasIOMMUFD)
                try await run.prepare()
                let life = Life(.killedAfter(effects))
                let outcome = try await run.run(life)
                let wrong = try await run.verify()
                #expect(wrong == [], "killed after effect \(effects) of \(scenario) with \(size) members")
                points += 1
                // Killed right after the reply is the last point.
                if outcome.hasReplied, life.effects < effects { break }
                effects += 1
            }
        }
        print("crash points of \(scenario) with \(size) members, all recovered: \(points)")
        #expect(points > 10 || interfaces.isEmpty)
    }

    @Test(
        "is not needed for that: any effect may fail as well",
        arguments: CrashScenario.allCases, CrashScenario.sizes)
    @LoopActor func failing(scenario: CrashScenario, size: Int) async throws {
        var points = 0
        let interfaces = scenario.interfaces(size)
        for hasIOMMUFD in interfaces {
            var effects = 1
            while true {
                let run = try await CrashRun(scenario, size: size, hasIOMMUFD: hasIOMMUFD)
                try await run.prepare()
                let life = Life(.failsAt(effects))
                let outcome = try await run.run(life)
                if case .failed(_, let unrestored)? = outcome.error {
                    #expect(unrestored == [], "one failure leaves nothing that the first try does not put back")
                }
                // The failure of a reset is for an administrator to look at.
                let wrong = try await run.verify(mayBeQuarantined: true, canLoseStore: true)
                #expect(wrong == [], "effect \(effects) of \(scenario) with \(size) members failed")
                points += 1
                if life.effects < effects { break }
                effects += 1
            }
        }
        print("failing steps of \(scenario) with \(size) members, all recovered: \(points)")
        #expect(points > 10 || interfaces.isEmpty)
    }
}
