// What of a claim outlives its daemon in the store of descriptors, and what must not.

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

@Suite("The store of descriptors", .timeLimit(.minutes(15)))
struct StoreTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// Whether the group of three is owned. A failure does not print all of the kernel.
    @LoopActor
    private func isOwned(_ machine: TestMachine) -> Bool { machine.host.kernel.isOwned(4) }

    /// Ends the daemon, looks whether something is owned without one, and starts the next.
    @LoopActor
    private func restart(_ daemon: MortalDaemon, _ machine: TestMachine, owned: Bool = true) async throws
        -> MortalDaemon
    {
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        machine.host.collectClosedFiles()
        #expect(isOwned(machine) == owned, "without a daemon")
        let next = try await machine.start()
        await machine.settle(next, within: .seconds(1))
        return next
    }

    @Test(
        "keeps a claim owned without a moment's break, by cdevs and by the legacy interface", arguments: [true, false])
    @LoopActor func neverUnowned(hasIOMMUFD: Bool) async throws {
        let machine = try TestMachine(hasIOMMUFD: hasIOMMUFD)
        let before = try await machine.bindings()
        var daemon = try await machine.start()
        let granted = try await machine.claim(daemon, TestMachine.triple[0]).get()
        let id = granted.claim.claim.id
        let expected = hasIOMMUFD ? ["iommufd", "cdev-pci-0000%3a02%3a00.0"] : ["container", "group-4"]
        await machine.settle(daemon, within: .seconds(1))
        #expect(machine.store.names == (expected + ["owner"]).map { "\(id).\($0)" })
        for _ in 0..<2 {
            daemon = try await restart(daemon, machine)
            let view = try daemon.takeover.view(of: id)
            #expect(view.state == .claimed)
            #expect(view.claim.unownedMoments == [])
            #expect(view.ranges == granted.claim.ranges)
            #expect(daemon.takeover.problems == [])
            #expect(machine.store.names.count == 3, "nothing is kept twice")
        }
        #expect(try await machine.release(daemon, id).get().isOver)
        #expect(machine.store.names == [])
        #expect(try await machine.bindings() == before)
        #expect(!isOwned(machine))
    }

    @Test("keeps nothing that a consumer has, but the iommufd that more can be attached to")
    @LoopActor func handedOver() async throws {
        for access in [Access.bound, .container, .unbound] {
            let machine = try TestMachine()
            var daemon = try await machine.start()
            let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
            let copies = try await machine.launch(daemon, id, access).copies
            let root = access == .container ? [] : ["\(id).iommufd"]
            await machine.settle(daemon, within: .seconds(1))
            #expect(Set(machine.store.names) == Set(["\(id).owner"] + root))
            daemon = try await restart(daemon, machine, owned: access != .unbound)
            #expect(try daemon.takeover.view(of: id).claim.access == access)
            if access == .bound {
                let running = daemon
                let more = await machine.running(daemon) {
                    do throws(TakeoverError) {
                        let granted = try await running.takeover.attach([.device(TestMachine.single)], to: id)
                        if let handover = granted.handover {
                            await running.takeover.finishHandover(handover, of: id)
                        }
                        return granted.handover?.devices.map(\.device)
                    } catch { return nil }
                }
                #expect(more == [TestMachine.single])
            }
            for file in copies { file.letGo() }
            machine.host.collectClosedFiles()
            let running = daemon
            await machine.settle(daemon, within: .seconds(60)) { running.takeover.claims[id]?.consumer == nil }
            await machine.settle(daemon, within: .seconds(1))
            #expect(isOwned(machine), "\(daemon.reports)")
            // Held again it outlasts the daemon again.
            daemon = try await restart(daemon, machine)
            #expect(try daemon.takeover.view(of: id).claim.access == .hold)
        }
    }

    @Test("has what was to be handed over when the daemon is killed before: then it was not")
    @LoopActor func killedBeforeHandOver() async throws {
        for access in [Access.bound, .container] {
            let machine = try TestMachine()
            var daemon = try await machine.start()
            let claimed = try await machine.claim(
                daemon, TestMachine.triple[0], access: access == .container ? .container : .hold
            ).get()
            let id = claimed.claim.claim.id
            if access == .bound {
                let running = daemon
                _ = await machine.running(daemon) { try? await running.takeover.launch(id, access).claim.claim.id }
            }
            daemon = try await restart(daemon, machine)
            let view = try daemon.takeover.view(of: id)
            #expect(view.claim.access == .hold)
            #expect(view.claim.unownedMoments == [])
            #expect(daemon.takeover.claims[id]?.consumer == nil)
        }
    }

    @Test("loses what no claim on record has, and what is not what its name says; both are said")
    @LoopActor func leftovers() async throws {
        let machine = try TestMachine()
        var daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.triple[0]).get().claim.claim.id
        await machine.settle(daemon, within: .seconds(1))
        daemon.kill()
        await machine.settle(daemon, within: .seconds(1))
        let cdev = "\(id).cdev-pci-0000%3a02%3a00.0"
        machine.store.drop(cdev)
        machine.host.collectClosedFiles()
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        for (end, name) in zip(ends, [cdev, "claim-0.owner"]) {
            machine.store.keep(end, as: name)
            close(end)
        }
        daemon = try await machine.start()
        #expect(
            daemon.takeover.problems == [
                "the stored descriptor \(cdev) is not what its name says",
                "the stored descriptor claim-0.owner is of no claim on record, and is closed",
            ])
        await machine.settle(daemon, within: .seconds(1))
        #expect(!machine.store.names.contains("claim-0.owner"))
        // Regained, and told so.
        #expect(isOwned(machine), "\(daemon.reports)")
        #expect(try daemon.takeover.view(of: id).claim.unownedMoments.count == 1)
    }

    @Test("that is full refuses a claim before anything is done")
    @LoopActor func full() async throws {
        let machine = try TestMachine()
        machine.store.capacity = 5
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.single).get().claim.claim.id
        let after = try await machine.bindings()
        guard
            case .failure(.storeIsFull(capacity: 5, used: 3, demand: 3)) = await machine.claim(
                daemon, TestMachine.triple[0])
        else {
            Issue.record("the claim was not refused")
            return
        }
        #expect(try await machine.bindings() == after)
        _ = await machine.release(daemon, id)
        #expect(try await machine.bindings() == before)
        _ = try await machine.claim(daemon, TestMachine.triple[0]).get()
    }

    @Test("that does not answer holds up the way back: nothing is unbound that it may have open")
    @LoopActor func silent() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        let daemon = try await machine.start()
        let id = try await machine.claim(daemon, TestMachine.single).get().claim.claim.id
        daemon.store.isSilent = true
        let view = try await machine.release(daemon, id).get()
        guard case .restoring(let reason) = view.state else {
            Issue.record("it is \(view.state)")
            return
        }
        #expect(reason.contains("the service manager"))
        #expect(machine.host.kernel[TestMachine.single]?.driver == "vfio-pci")
        #expect(machine.host.kernel.isOwned(2))
        daemon.store.isSilent = false
        await machine.settle(daemon) { daemon.takeover.claimCount == 0 }
        #expect(try await machine.bindings() == before)
        #expect(machine.store.names == [])
    }

    @Test("tells of an owner that ended while there was no daemon, or ends under the next one")
    @LoopActor func owner() async throws {
        for endsMeanwhile in [true, false] {
            let machine = try TestMachine()
            let before = try await machine.bindings()
            var daemon = try await machine.start()
            let id = try await machine.claim(daemon, TestMachine.triple[0], lifetime: .process).get().claim.claim.id
            daemon = try await restart(daemon, machine)
            #expect(try daemon.takeover.view(of: id).state == .claimed)
            if endsMeanwhile {
                daemon.kill()
                await machine.settle(daemon, within: .seconds(1))
                machine.host.endProcess(machine.client)
                daemon = try await machine.start()
            } else {
                machine.host.endProcess(machine.client)
            }
            let running = daemon
            await machine.settle(daemon) { running.takeover.claimCount == 0 }
            #expect(try await machine.bindings() == before)
            #expect(machine.store.names == [])
            #expect(daemon.takeover.problems == [])
        }
    }
}
