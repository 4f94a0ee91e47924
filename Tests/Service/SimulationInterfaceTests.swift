// io.vfiogroupd.Simulation over a real socket: what is done to the simulated machine is seen in the registry.

import Config
import EventLoop
import GroupAPI
import Grouping
import Host
import HostSnapshot
import Inventory
import Keeper
import PCI
import SimulatedHost
import Testing
import TestSupport
import Varlink

@testable import Service

@Suite("io.vfiogroupd.Simulation", .timeLimit(.minutes(15)))
struct SimulationInterfaceTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// The built-in machine, served and followed.
    @LoopActor private final class Fixture {
        let machine: SimulatedHost
        let service: GroupService
        let server = VarlinkServer(.init(vendor: "v", product: "p", version: "1", url: "u"))
        let folder = TemporaryFolder()
        let following: Task<Void, Never>

        init() async throws {
            let machine = try SimulatedHost.demo()
            self.machine = machine
            let keeper = try await Keeper(testing: machine)
            service = GroupService(.init(version: "1", isSimulated: true), of: keeper, Configuration(), on: server)
            service.registerSimulation(of: machine)
            try server.listen(path: folder.path + "/socket")
            following = EventLoop.main.spawn { try? await keeper.followHost() }
        }

        func client() async throws -> VarlinkClient { try await VarlinkClient.connect(to: folder.path + "/socket") }

        func stop() async {
            following.cancel()
            service.endMonitors()
            await server.stop(within: .milliseconds(100))
        }
    }

    private let card = Simulation.DeviceAddress(bus: "pci", name: "0000:01:00.0")

    @Test("a device that is bound to vfio-pci is told to monitors, and its group is an orphan")
    @LoopActor func bind() async throws {
        let fixture = try await Fixture()
        let stream = try await fixture.client().stream(Groups.Monitor.self, .init())
        #expect(try await stream.next()?.kind == .ready)
        let client = try await fixture.client()
        #expect(
            try await client.call(Simulation.Bind.self, .init(device: card, driver: "vfio-pci")).driver == "vfio-pci")
        let event = try #require(try await stream.next())
        #expect(event.kind == .memberDriverChanged)
        #expect(event.member?.name == "0000:01:00.0")
        #expect(event.cause == "nouveau before, vfio-pci now")
        #expect(try await stream.next()?.kind == .groupStateChanged)
        let group = try await client.call(Groups.GetGroup.self, .init(kernelGroup: 2)).group
        #expect(group.state == .orphaned)
        #expect(group.members[0].driverOverride == "vfio-pci")
        await fixture.stop()
    }

    @Test("vfio-pci refuses a bridge, which is left without a driver")
    @LoopActor func bridge() async throws {
        let fixture = try await Fixture()
        let port = Simulation.DeviceAddress(bus: "pci", name: "0000:00:1c.0")
        let reply = try await fixture.client().call(Simulation.Bind.self, .init(device: port, driver: "vfio-pci"))
        #expect(reply.driver == nil)
        await fixture.stop()
    }

    @Test("a device that is removed takes its group along, and comes back with a rescan, under the same identity")
    @LoopActor func removeAndRescan() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        let stream = try await fixture.client().stream(Groups.Monitor.self, .init())
        _ = try await stream.next()
        let disk = Simulation.DeviceAddress(bus: "pci", name: "0000:85:00.0")
        _ = try await client.call(Simulation.Remove.self, .init(device: disk))
        let gone = try #require(try await stream.next())
        #expect(gone.kind == .groupRemoved)
        _ = try await client.call(Simulation.Rescan.self, .init())
        let back = try #require(try await stream.next())
        #expect(back.kind == .groupAdded)
        #expect(back.group == gone.group)
        await fixture.stop()
    }

    @Test("what is not there, and what the kernel refuses, are errors that say so")
    @LoopActor func errors() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        let nothing = Simulation.DeviceAddress(bus: "pci", name: "0000:77:00.0")
        await #expect(throws: ClientError.self) {
            try await client.call(Simulation.Unbind.self, .init(device: nothing))
        }
        let idle = Simulation.DeviceAddress(bus: "pci", name: "0000:84:00.0")
        do throws(ClientError) {
            _ = try await client.call(Simulation.Unbind.self, .init(device: idle))
            Issue.record("a device without a driver was unbound")
        } catch {
            #expect(error.failure(as: Simulation.Failure.self) == .refused(errnoName: "ENODEV"))
        }
        do throws(ClientError) {
            _ = try await client.call(Simulation.SetVirtualFunctions.self, .init(device: card, count: -1))
            Issue.record("a negative count was taken")
        } catch {
            #expect("\(error)".contains("InvalidParameter"))
        }
        await fixture.stop()
    }

    /// The error of the interface that a call is answered with.
    @LoopActor private func failure<Method: VarlinkMethod>(
        _ fixture: Fixture, _ method: Method.Type, _ parameters: Method.Parameters
    ) async throws -> Simulation.Failure? {
        do {
            _ = try await fixture.client().call(method, parameters)
        } catch let error as ClientError {
            guard let failure: Simulation.Failure = error.failure() else { throw error }
            return failure
        }
        return nil
    }

    @Test("what is plugged into a group is told to monitors, and what is pulled out too")
    @LoopActor func hotplug() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        let stream = try await fixture.client().stream(Groups.Monitor.self, .init())
        _ = try await stream.next()
        let new = Simulation.DeviceAddress(bus: "pci", name: "0000:01:00.2")
        let reply = try await client.call(
            Simulation.Plug.self, .init(device: new, group: "pci0000-00_01.0_00.0", driver: "igb", classCode: 0x0c0330))
        #expect(reply == .init(kernelGroup: 2, driver: "igb"))
        var event = try #require(try await stream.next())
        #expect(event.kind == .memberAdded)
        #expect(event.member?.name == "0000:01:00.2")
        let member = try await client.call(Groups.GetGroup.self, .init(kernelGroup: 2)).group.members.last
        #expect(member?.vendorId == 0x8086)
        #expect(member?.classCode == 0x0c0330)
        _ = try await client.call(Simulation.Unplug.self, .init(device: new))
        event = try #require(try await stream.next())
        #expect(event.kind == .memberRemoved)
        _ = try await client.call(Simulation.Rescan.self, .init())
        #expect(fixture.machine[.pci(try #require(PCIAddress("0000:01:00.2")))] == nil)
        await fixture.stop()
    }

    @Test("what is plugged in behind a port has its group by what the port isolates")
    @LoopActor func behind() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        let disk = Simulation.DeviceAddress(bus: "pci", name: "0000:02:00.0")
        let port = Simulation.DeviceAddress(bus: "pci", name: "0000:00:06.0")
        _ = try await client.call(Simulation.Unplug.self, .init(device: disk))
        let reply = try await client.call(Simulation.Plug.self, .init(device: disk, port: port))
        // The driver for what sat there before.
        #expect(reply == .init(kernelGroup: 4, driver: "nvme"))
        await fixture.stop()
    }

    @Test("what cannot be plugged in is an error that says why")
    @LoopActor func misplaced() async throws {
        let fixture = try await Fixture()
        let new = Simulation.DeviceAddress(bus: "pci", name: "0000:01:00.2")
        let port = Simulation.DeviceAddress(bus: "pci", name: "0000:00:06.0")
        #expect(
            try await failure(fixture, Simulation.Plug.self, .init(device: new, group: "nonsense"))
                == .noSuchGroup(group: "nonsense"))
        #expect(
            try await failure(fixture, Simulation.Plug.self, .init(device: new, port: port))
                == .noPlace(device: new, reason: "what sits at 0000:01:00.2 is behind 0000:00:01.0"))
        #expect(
            try await failure(fixture, Simulation.Unplug.self, .init(device: new)) == .noSuchDevice(device: new))
        for wrong: Simulation.Plug.Parameters in [
            .init(device: new), .init(device: new, group: "g", port: port),
            .init(device: .init(bus: "ap", name: "1"), port: port), .init(device: new, port: port, vendorId: 0x1_0000),
            .init(device: new, port: port, deviceId: -1), .init(device: new, port: port, classCode: 1 << 24),
            .init(device: new, port: port, driver: "a\nb"), .init(device: new, port: port, driver: ""),
        ] {
            await #expect(throws: ClientError.self) {
                try await fixture.client().call(Simulation.Plug.self, wrong)
            }
        }
        await fixture.stop()
    }

    @Test("the API has the kernel's steps, every one")
    func steps() {
        #expect(Simulation.FaultStep.allCases.map(\.rawValue) == SimulatedFault.Step.allCases.map(\.rawValue))
    }

    @Test("a fault meets a call once or always, and is taken back")
    @LoopActor func faults() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        let unbind = Simulation.Unbind.Parameters(device: card)
        let busy = Simulation.InjectFault.Parameters(step: .unbind, device: card, errnoName: "EBUSY", always: true)
        _ = try await client.call(Simulation.InjectFault.self, busy)
        for _ in 0..<2 {
            #expect(try await failure(fixture, Simulation.Unbind.self, unbind) == .refused(errnoName: "EBUSY"))
        }
        #expect(try await client.call(Simulation.ClearFaults.self, .init()).count == 1)
        #expect(try await failure(fixture, Simulation.Unbind.self, unbind) == nil)
        let unknown = Simulation.InjectFault.Parameters(step: .unbind, device: card, errnoName: "EFOO")
        guard
            case .noSuchErrno("EFOO", let available)? = try await failure(
                fixture, Simulation.InjectFault.self, unknown)
        else {
            Issue.record("EFOO was taken")
            return
        }
        #expect(available.contains("EBUSY"))
        #expect(
            try await failure(fixture, Simulation.InjectFault.self, .init(step: .probe, device: card))
                == .cannotBlock(step: .probe))
        await fixture.stop()
    }

    @Test("a call that a fault stopped goes on when it is let go")
    @LoopActor func blocked() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        _ = try await client.call(Simulation.InjectFault.self, .init(step: .unbind, device: card))
        #expect(try await failure(fixture, Simulation.Unbind.self, .init(device: card)) == .blocked)
        #expect(fixture.machine.kernel.blockedOperations.count == 1)
        #expect(try await client.call(Simulation.ReleaseBlocked.self, .init()).count == 1)
        #expect(fixture.machine.kernel.blockedOperations.isEmpty)
        #expect(try await client.call(Simulation.ReleaseBlocked.self, .init()).count == 0)
        await fixture.stop()
    }

    @Test("resets and uses are as they were said to be")
    @LoopActor func resetsAndUses() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        let address = try #require(DeviceAddress(bus: card.bus, name: card.name))
        for (method, outcome) in [
            (Simulation.ResetMethod.fails, SimulatedKernel.Outcome.failed(.enotty)), (.absent, .failed(.enoent)),
            (.works, .done),
        ] {
            _ = try await client.call(Simulation.SetReset.self, .init(device: card, method: method))
            #expect(fixture.machine.perform { kernel in kernel.write(.reset(address)) } == outcome)
        }
        _ = try await client.call(
            Simulation.SetUses.self, .init(device: card, mountPoint: "/", defaultRoute: "eth0", bootDisplay: true))
        #expect(
            await fixture.machine.uses(of: [address]).map(\.kind)
                == [.mounted(at: "/", via: "sda1"), .route(to: "default", interface: "eth0"), .bootDisplay])
        _ = try await client.call(Simulation.SetUses.self, .init(device: card))
        #expect(await fixture.machine.uses(of: [address]).isEmpty)
        await #expect(throws: ClientError.self) {
            try await client.call(Simulation.SetUses.self, .init(device: card, mountPoint: "home"))
        }
        await fixture.stop()
    }

    @Test("every kind of use that does not follow from the machine can be said of it, with a name or a made-up one")
    @LoopActor func kindsOfUses() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        let address = try #require(DeviceAddress(bus: card.bus, name: card.name))
        _ = try await client.call(
            Simulation.SetUses.self,
            .init(device: card, others: DeviceUse.Kind.simulatedWords.map { .init(kind: $0) }))
        #expect(await fixture.machine.uses(of: [address]).map(\.rule.word) == DeviceUse.Kind.simulatedWords)
        _ = try await client.call(
            Simulation.SetUses.self, .init(device: card, others: [.init(kind: "stacked", name: "dm-3 (home)")]))
        #expect(await fixture.machine.uses(of: [address]).map(\.kind) == [.stacked(holder: "dm-3 (home)")])
        for kind in ["chipset", "nonsense", ""] {
            #expect(
                try await failure(fixture, Simulation.SetUses.self, .init(device: card, others: [.init(kind: kind)]))
                    == .noSuchUse(kind: kind, available: DeviceUse.Kind.simulatedWords))
        }
        await fixture.stop()
    }

    @Test("a module is loaded where there is one, and what was bound to vfio-pci has its node in /dev")
    @LoopActor func modules() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        _ = try await client.call(Simulation.LoadModule.self, .init(driver: "pci-stub"))
        #expect(fixture.machine.kernel.isLoaded("pci-stub"))
        #expect(
            try await failure(fixture, Simulation.LoadModule.self, .init(driver: "nonsense"))
                == .noSuchModule(driver: "nonsense"))
        _ = try await client.call(Simulation.Bind.self, .init(device: card, driver: "vfio-pci"))
        #expect(fixture.machine.kernel.nodesInDev.contains(.group(2)))
        await fixture.stop()
    }
}
