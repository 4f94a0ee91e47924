// Nodes that a user may open for the time being: whose they are meanwhile, and that they are what they were afterwards.

import EventLoop
import Grouping
import Host
import Inventory
import PCI
import Registry
import Testing
import TestSupport

@testable import SimulatedHost
@testable import Takeover

@Suite("A hand-over by path", .timeLimit(.minutes(15)))
struct PathHandoverTests {
    init() throws { try EventLoop.main.runInBackground() }

    private static let user: UInt32 = 65_534

    /// What a udev rule may have made of the nodes.
    private static let byRule = NodePermissions(uid: 0, gid: 7, mode: 0o660)

    @LoopActor
    private func launch(
        _ machine: TestMachine, _ daemon: MortalDaemon, _ claim: String
    ) async -> Result<Takeover.Granted, TakeoverError> {
        await machine.running(daemon) {
            do throws(TakeoverError) {
                let granted = try await daemon.takeover.launch(claim, .path, user: Self.user)
                if let handover = granted.handover { await daemon.takeover.finishHandover(handover, of: claim) }
                return .success(granted)
            } catch { return .failure(error) }
        }
    }

    /// A claim of the group of three, whose nodes a rule has changed.
    @LoopActor
    private func claim(_ machine: TestMachine, _ daemon: MortalDaemon) async throws -> String {
        let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        try machine.setNodes(Self.byRule)
        return id
    }

    /// Who may open each node.
    @LoopActor
    private func permissions(_ machine: TestMachine) -> [SimulatedKernel.Node: NodePermissions] {
        let kernel = machine.host.kernel
        let all = kernel.nodesInDev.compactMap { node in kernel.permissions(of: node).map { (node, $0) } }
        return Dictionary(uniqueKeysWithValues: all)
    }

    /// What a consumer does: opens the nodes as its user, and makes the group its own.
    @LoopActor
    private func open(_ machine: TestMachine, as uid: UInt32) throws -> SimulatedKernel.File {
        try machine.host.perform { (kernel) throws(SimulatedKernel.Refusal) in
            let group = try kernel.openGroup(4, as: uid)
            let container = kernel.openContainer()
            try kernel.setContainer(group, container)
            return group
        }
    }

    @Test("opens the nodes to one user alone, and is unowned until the consumer has them, which is put on record")
    @LoopActor func nodes() async throws {
        for hasIOMMUFD in [true, false] {
            let machine = try TestMachine(hasIOMMUFD: hasIOMMUFD)
            let daemon = try await machine.start()
            let id = try await claim(machine, daemon)
            let handover = try #require(try await launch(machine, daemon, id).get().handover)
            #expect(handover.user == Self.user)
            #expect((handover.iommufd != nil) == hasIOMMUFD)
            let cdevs = (0..<3).map { "/dev/vfio/devices/vfio\($0)" }
            #expect(handover.nodes.map(\.path) == ["/dev/vfio/4"] + (hasIOMMUFD ? cdevs : []))
            for node in machine.host.kernel.nodesInDev {
                let wanted = NodePermissions(uid: Self.user, gid: 7, mode: 0o600)
                #expect(machine.host.kernel.permissions(of: node) == wanted)
            }
            let view = try daemon.takeover.view(of: id)
            #expect(view.claim.access == .path && !view.groups[0].isOwned)
            #expect(view.claim.unownedMoments.count == 1 && view.claim.unownedMoments[0].seconds == nil)
            #expect(throws: SimulatedKernel.Refusal.failed(.eacces)) { try open(machine, as: 1000) }

            let group = try open(machine, as: Self.user)
            await machine.settle(daemon, within: .seconds(120))
            #expect(machine.host.kernel.isOwned(4))
            #expect(try daemon.takeover.view(of: id).claim.access == .path)
            machine.host.perform { $0.closeWhateverHappens(group) }
            await machine.settle(daemon, within: .seconds(60)) { daemon.takeover.claims[id]?.consumer == nil }
            await machine.settle(daemon, within: .seconds(1))
            #expect(machine.host.kernel.isOwned(4))
            for node in machine.host.kernel.nodesInDev {
                #expect(machine.host.kernel.permissions(of: node) == Self.byRule)
            }
            let after = try daemon.takeover.view(of: id).claim
            #expect(after.access == .hold && after.unownedMoments.allSatisfy { $0.seconds != nil })
            #expect(daemon.takeover.claims[id]?.space.barriers.isEmpty == true)
        }
    }

    @Test("lets a device leave that no consumer has come for: no hotplug of the host waits for the daemon")
    @LoopActor func leaves() async throws {
        let machine = try TestMachine(kernel: "6.12.95")
        let daemon = try await machine.start()
        let id = try await claim(machine, daemon)
        _ = try await launch(machine, daemon, id).get()
        let leaving = TestMachine.triple[1]
        machine.host.perform { _ = $0.unplug(leaving) }
        await machine.settle(daemon, within: .seconds(5))
        #expect(machine.host.kernel.blockedOperations.isEmpty)
        #expect(machine.host.kernel[leaving] == nil)
        machine.host.perform { _ = $0.write(.remove(TestMachine.single)) }
        #expect(machine.host.kernel[TestMachine.single] == nil)
        let request = try #require(daemon.claimEvents.first { $0.isRemovalRequest })
        #expect(request.member == leaving)
        let isLetGo = request.cause.contains("no consumer has opened its nodes yet, and the daemon lets go of it")
        #expect(isLetGo, "\(request.cause)")
        // The others are still waited for.
        #expect(try daemon.takeover.view(of: id).claim.access == .path)
        #expect(machine.host.kernel.permissions(of: .group(4))?.uid == Self.user)
        #expect(daemon.takeover.claims[id]?.space.barriers.keys.contains(leaving) == false)
        #expect(machine.host.brokenPromises == [])
    }

    @Test("gives nodes to their user again that came back with a device that somebody had unbound")
    @LoopActor func unbound() async throws {
        for hasIOMMUFD in [true, false] {
            let machine = try TestMachine(kernel: "6.12.95", hasIOMMUFD: hasIOMMUFD)
            let daemon = try await machine.start()
            let id = try await machine.claim(daemon, TestMachine.single).get().claim.claim.id
            _ = try await launch(machine, daemon, id).get()
            let opened = permissions(machine)
            #expect(opened.values.allSatisfy { $0.uid == Self.user })
            machine.host.perform { _ = $0.write(.unbind(TestMachine.single, from: "vfio-pci")) }
            await machine.settle(daemon, within: .seconds(5))
            #expect(machine.host.kernel.blockedOperations.isEmpty)
            #expect(machine.host.kernel[TestMachine.single]?.driver == "vfio-pci")
            #expect(permissions(machine) == opened)
            #expect(try daemon.takeover.view(of: id).claim.access == .path)
            await machine.settle(daemon, within: .seconds(400)) { daemon.takeover.claims[id]?.consumer == nil }
            await machine.settle(daemon, within: .seconds(1))
            #expect(permissions(machine).values.allSatisfy { $0.uid == 0 })
            #expect(machine.host.kernel.isOwned(2))
        }
    }

    @Test("takes the nodes back at once when the claim is released, and waits for the consumer with the rest")
    @LoopActor func release() async throws {
        for hasIOMMUFD in [true, false] {
            let machine = try TestMachine(hasIOMMUFD: hasIOMMUFD)
            let before = try await machine.bindings()
            let daemon = try await machine.start()
            let id = try await claim(machine, daemon)
            _ = try await launch(machine, daemon, id).get()
            let group = try open(machine, as: Self.user)
            var isReleased = false
            let release = EventLoop.main.spawn {
                _ = try? await daemon.takeover.release(id)
                isReleased = true
            }
            await machine.settle(daemon, within: .seconds(600))
            #expect(!isReleased)
            #expect(try daemon.takeover.view(of: id).groups[0].operation?.action == "wait for the owner")
            #expect(machine.host.kernel.permissions(of: .group(4)) == Self.byRule)
            machine.host.perform { $0.closeWhateverHappens(group) }
            await machine.settle(daemon) { isReleased }
            await release.value
            #expect(try await machine.bindings() == before)
        }
    }

    @Test("that fails leaves the group owned, without a moment in between, and the nodes as they were")
    @LoopActor func failure() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        let id = try await claim(machine, daemon)
        machine.host.perform { $0.inject(SimulatedFault(.setPermissions, of: TestMachine.triple[2], .fails(.eio))) }
        guard case .failure(.failed(let failure, unrestored: [])) = await launch(machine, daemon, id) else {
            Issue.record("it did not fail")
            return
        }
        // The first node is the group's, in which the member is.
        #expect(failure.action == "own" && failure.cause == .errno(KernelErrno.eio.number))
        #expect(machine.host.kernel.isOwned(4))
        let claim = try daemon.takeover.view(of: id).claim
        #expect(claim.access == .hold && claim.unownedMoments == [] && claim.groups[0].nodes == [])
        for node in machine.host.kernel.nodesInDev {
            #expect(machine.host.kernel.permissions(of: node) == Self.byRule)
        }
    }

    @Test("outlasts the daemon: the next one knows what the nodes were")
    @LoopActor func restart() async throws {
        let machine = try TestMachine()
        var daemon = try await machine.start()
        let id = try await claim(machine, daemon)
        _ = try await launch(machine, daemon, id).get()
        let group = try open(machine, as: Self.user)
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        daemon = try await machine.start()
        await machine.settle(daemon, within: .seconds(120))
        #expect(try daemon.takeover.view(of: id).claim.access == .path)
        #expect(machine.host.kernel.permissions(of: .group(4))?.uid == Self.user)
        #expect(daemon.takeover.claims[id]?.space.barriers.count == 3)
        machine.host.perform { $0.closeWhateverHappens(group) }
        await machine.settle(daemon, within: .seconds(60)) { daemon.takeover.claims[id]?.consumer == nil }
        await machine.settle(daemon, within: .seconds(1))
        #expect(machine.host.kernel.isOwned(4))
        #expect(machine.host.kernel.permissions(of: .group(4)) == Self.byRule)
    }

    @Test("of a manual claim gives its consumer time to come, though whoever made the claim has ended")
    @LoopActor func ownerless() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        let id = try await claim(machine, daemon)
        machine.host.endProcess(machine.client)
        await machine.settle(daemon, within: .seconds(1))
        _ = try await launch(machine, daemon, id).get()
        await machine.settle(daemon, within: .seconds(290))
        #expect(machine.host.kernel.permissions(of: .group(4))?.uid == Self.user)
        await machine.settle(daemon, within: .seconds(25))
        #expect(machine.host.kernel.permissions(of: .group(4)) == Self.byRule)
        #expect(try daemon.takeover.view(of: id).claim.access == .hold)
    }

    @Test("leaves alone what others have made of a node meanwhile")
    @LoopActor func meddled() async throws {
        let machine = try TestMachine(hasIOMMUFD: false)
        let daemon = try await machine.start()
        let id = try await claim(machine, daemon)
        _ = try await launch(machine, daemon, id).get()
        let others = NodePermissions(uid: 12, gid: 12, mode: 0o640)
        try machine.setNodes(others)
        await machine.settle(daemon, within: .seconds(60)) { daemon.takeover.claims[id]?.consumer == nil }
        #expect(machine.host.kernel.permissions(of: .group(4)) == others)
    }

    @Test("that cannot be sent is taken back, whatever way it was")
    @LoopActor func withdrawn() async throws {
        for access in [Access.path, .unbound, .bound, .container] {
            let machine = try TestMachine()
            let daemon = try await machine.start()
            let id = try await claim(machine, daemon)
            let result = await machine.running(daemon) { () -> TakeoverError? in
                do throws(TakeoverError) {
                    await daemon.takeover.withdraw(try await daemon.takeover.launch(id, access))
                    return nil
                } catch { return error }
            }
            #expect(result == nil)
            machine.host.collectClosedFiles()
            let isOwned = machine.host.kernel.isOwned(4)
            #expect(isOwned, "\(access), \(daemon.reports)")
            let claim = try daemon.takeover.view(of: id).claim
            #expect(claim.access == .hold && claim.groups[0].nodes == [])
            #expect(claim.unownedMoments.allSatisfy { $0.seconds != nil })
            #expect(machine.host.kernel.permissions(of: .group(4)) == Self.byRule)
            // It can be launched again.
            _ = try await launch(machine, daemon, id).get()
        }
    }
}
