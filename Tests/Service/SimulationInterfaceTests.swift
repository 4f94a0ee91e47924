// io.vfiogroupd.Simulation over a real socket: what is done to the simulated machine is seen in the registry.

import EventLoop
import GroupAPI
import Grouping
import Host
import TestSupport
import Testing
import Varlink

@testable import Service

@Suite("io.vfiogroupd.Simulation", .timeLimit(.minutes(5)))
struct SimulationInterfaceTests {
    /// The built-in machine, served and followed.
    @LoopActor private final class Fixture {
        let service: GroupService
        let server = VarlinkServer(.init(vendor: "v", product: "p", version: "1", url: "u"))
        let folder = TemporaryFolder()
        let following: Task<Void, Never>

        init() async throws {
            try EventLoop.main.runInBackground()
            let machine = try SimulatedHost.demo()
            let service = try await GroupService(.init(version: "1", isSimulated: true), host: machine, policy: .auto)
            self.service = service
            service.register(on: server)
            service.registerSimulation(of: machine, on: server)
            try server.listen(path: folder.path + "/socket")
            following = EventLoop.main.spawn { try? await service.followHost() }
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
}
