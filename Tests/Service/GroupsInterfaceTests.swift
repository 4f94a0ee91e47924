// io.vfiogroupd.Groups over a real socket.

import EventLoop
import GroupAPI
import Grouping
import Host
import Inventory
import JSON
import Keeper
import PCI
import Registry
import SimulatedHost
import Testing
import TestSupport
import Varlink

@testable import Service

@Suite("io.vfiogroupd.Groups", .timeLimit(.minutes(15)))
struct GroupsInterfaceTests {
    @Test("lists all groups in one reply, and with more one a reply")
    @LoopActor func listGroups() async throws {
        let fixture = try await ServiceFixture(testMachine)
        let whole = try await fixture.call(Groups.ListGroups.self, .init())
        #expect(whole.groups.map(\.id) == ["pci0000-00_01.0", "pci0000-00_01.0_00.0"])
        var one: [Groups.Group] = []
        let stream = try await fixture.client().stream(Groups.ListGroups.self, .init())
        while let reply = try await stream.next() {
            #expect(reply.groups.count == 1)
            one += reply.groups
        }
        #expect(one == whole.groups)
        await fixture.stop()
    }

    @Test("lists nothing on an empty host, in one reply either way")
    @LoopActor func emptyHost() async throws {
        let fixture = try await ServiceFixture(Inventory())
        #expect(try await fixture.call(Groups.ListGroups.self, .init()).groups.isEmpty)
        let stream = try await fixture.client().stream(Groups.ListDevices.self, .init())
        #expect(try await stream.next()?.devices.isEmpty == true)
        #expect(try await stream.next() == nil)
        await fixture.stop()
    }

    @Test("a list longer than a reply may be wants more")
    @LoopActor func expectedMore() async throws {
        var limits = ServerLimits()
        limits.replyBytes = 1000
        let fixture = try await ServiceFixture(testMachine, limits: limits)
        #expect(try await fixture.error(Groups.ListGroups.self, .init()).name == "org.varlink.service.ExpectedMore")
        let stream = try await fixture.client().stream(Groups.ListGroups.self, .init())
        #expect(try await stream.next()?.groups.count == 1)
        await fixture.stop()
    }

    @Test("a group has its members, verdicts and blockers")
    @LoopActor func group() async throws {
        let fixture = try await ServiceFixture(testMachine)
        let group = try await fixture.call(Groups.GetGroup.self, .init(id: "pci0000-00_01.0_00.0")).group
        #expect(group.backend == .kernel)
        #expect(group.hostBridges == ["pci0000:00"])
        #expect(group.kernelGroups == [2])
        #expect(group.isolated && group.claimable && group.reason == nil)
        #expect(!group.complete)
        #expect(group.state == .available)
        #expect(group.members.map(\.address.name) == ["0000:01:00.0", "0000:01:00.1"])
        #expect(group.members[0].state == .host && group.members[0].driver == "nouveau")
        #expect(group.members[0].vendorId == 0x8086 && group.members[0].classCode == 0x020000)
        #expect(group.blockers.map(\.driver) == ["nouveau", "snd_hda_intel"])
        await fixture.stop()
    }

    @Test("a group is found by identity, by device, and by kernel group")
    @LoopActor func lookUp() async throws {
        let fixture = try await ServiceFixture(testMachine)
        let address = Groups.DeviceAddress(bus: "pci", name: "0000:01:00.1")
        for parameters in [
            Groups.GetGroup.Parameters(id: "pci0000-00_01.0_00.0"), .init(device: address), .init(kernelGroup: 2),
        ] {
            #expect(try await fixture.call(Groups.GetGroup.self, parameters).group.kernelGroups == [2])
        }
        await fixture.stop()
    }

    @Test("none, or more than one way to name a group, is refused with the parameter's name")
    @LoopActor func ambiguous() async throws {
        let fixture = try await ServiceFixture(testMachine)
        let address = Groups.DeviceAddress(bus: "pci", name: "0000:01:00.1")
        for (parameters, name) in [
            (Groups.GetGroup.Parameters(), "id"), (.init(id: "x", device: address), "device"),
            (.init(id: "x", kernelGroup: 1), "kernelGroup"), (.init(device: address, kernelGroup: 1), "kernelGroup"),
        ] {
            let error = try await fixture.error(Groups.GetGroup.self, parameters)
            #expect(error.name == "org.varlink.service.InvalidParameter")
            #expect(error.parameters["parameter"] == .string(name))
        }
        await fixture.stop()
    }

    @Test("what is not there is an error that names it")
    @LoopActor func missing() async throws {
        let fixture = try await ServiceFixture(testMachine)
        let unknown = Groups.DeviceAddress(bus: "pci", name: "0000:77:00.0")
        var error = try await fixture.error(Groups.GetGroup.self, .init(id: "nonsense"))
        #expect(error.name == "io.vfiogroupd.Groups.NoSuchGroup")
        #expect(error.parameters["id"] == "nonsense")
        error = try await fixture.error(Groups.GetGroup.self, .init(kernelGroup: -5))
        #expect(error.parameters["kernelGroup"] == -5)
        error = try await fixture.error(Groups.GetGroup.self, .init(device: unknown))
        #expect(error.name == "io.vfiogroupd.Groups.NoSuchDevice")
        error = try await fixture.error(Groups.GetDevice.self, .init(device: .init(bus: "", name: "")))
        #expect(error.name == "io.vfiogroupd.Groups.NoSuchDevice")
        error = try await fixture.error(
            Groups.GetGroup.self, .init(device: .init(bus: "pci", name: "0000:00:00.0")))
        #expect(error.name == "io.vfiogroupd.Groups.DeviceInNoGroup")
        #expect(error.parameters["reason"] != nil)
        let long = String(repeating: "x", count: 100_000)
        error = try await fixture.error(Groups.GetGroup.self, .init(id: long))
        #expect(JSONValue.object(error.parameters).description.utf8.count < 1000)
        error = try await fixture.error(Groups.GetDevice.self, .init(device: .init(bus: "pci", name: long)))
        #expect(JSONValue.object(error.parameters).description.utf8.count < 1000)
        await fixture.stop()
    }

    @Test("devices in no group are listed, with the reason")
    @LoopActor func devices() async throws {
        let fixture = try await ServiceFixture(testMachine)
        let devices = try await fixture.call(Groups.ListDevices.self, .init()).devices
        #expect(devices.count == 4)
        #expect(devices[0].group == nil)
        #expect(devices[0].reason?.isEmpty == false)
        #expect(devices[2].group == "pci0000-00_01.0_00.0")
        #expect(devices[2].parent?.name == "0000:00:01.0")
        #expect(devices[1].role == .bridge && devices[1].state == .passive)
        await fixture.stop()
    }

    @Test("what could not be read is named as unknown, not shown as absent")
    @LoopActor func unknown() async throws {
        let address = try #require(PCIAddress("0000:00:01.0"))
        let device = Device(
            address: .pci(address),
            kind: .pci(
                PCIFunction(
                    hostBridge: HostBridgeID(domain: 0, bus: 0), parent: nil, identification: .init(),
                    capabilities: FunctionCapabilities(unknown: .headerOnly), isBridge: false)),
            driverOverride: .unknown(.deviceBusy))
        let fixture = try await ServiceFixture(machine(device))
        let shown = try await fixture.call(
            Groups.GetDevice.self, .init(device: .init(bus: "pci", name: "0000:00:01.0"))
        ).device
        #expect(
            Set((shown.unknown ?? []).map(\.field)).isSuperset(of: ["accessControl", "expressType", "driverOverride"]))
        #expect(shown.unknown?.first { $0.field == "driverOverride" }?.reason == "the device is busy in the kernel")
        #expect(shown.accessControl == nil && shown.alternativeRouting == nil)
        await fixture.stop()
    }

    @Test("a monitor hears at once that it is there, and then every change")
    @LoopActor func monitor() async throws {
        let fixture = try await ServiceFixture(testMachine)
        let following = EventLoop.main.spawn { _ = try? await fixture.keeper.followHost() }
        let stream = try await fixture.client().stream(Groups.Monitor.self, .init())
        let first = try #require(try await stream.next())
        #expect(first.kind == .ready && first.generation == 1)
        fixture.host.change(to: machine(Array(testMachine.devices.dropLast()), kernel: "6.12.0"))
        let event = try #require(try await stream.next())
        #expect(event.kind == .memberRemoved)
        #expect(event.generation == 2)
        #expect(event.group == "pci0000-00_01.0_00.0")
        #expect(event.member?.name == "0000:01:00.1")
        #expect(event.cause == "the device left the host")
        let group = try await fixture.call(Groups.GetGroup.self, .init(kernelGroup: 2)).group
        #expect(group.members.count == 1)
        following.cancel()
        await fixture.stop()
    }

    @Test("a monitor without more is refused")
    @LoopActor func monitorWithoutMore() async throws {
        let fixture = try await ServiceFixture(testMachine)
        #expect(try await fixture.error(Groups.Monitor.self, .init()).name == "org.varlink.service.ExpectedMore")
        await fixture.stop()
    }

    @Test("a monitor that reads too slowly is told so, and costs no more than its queue")
    @LoopActor func overflow() async throws {
        try EventLoop.main.runInBackground()
        let monitors = Monitors()
        let queue = monitors.add(capacity: 3)
        for generation in 1...10 {
            monitors.publish([.registry(RegistryEvent(generation: generation, kind: .groupAdded))])
        }
        let items = await queue.next()
        #expect(items.first == .overflow)
        #expect(items.count <= 3)
        monitors.remove(queue)
    }

    @Test("a monitor whose client has gone ends")
    @LoopActor func goneMonitor() async throws {
        let fixture = try await ServiceFixture(testMachine)
        let client = try await fixture.client()
        let stream = try await client.stream(Groups.Monitor.self, .init())
        _ = try await stream.next()
        #expect(fixture.service.monitors.count == 1)
        client.close()
        let deadline = MonotonicTime.now + .seconds(60)
        while fixture.service.monitors.count > 0, MonotonicTime.now < deadline { await EventLoop.main.yield() }
        #expect(fixture.service.monitors.count == 0)
        await fixture.stop()
    }

    @Test("a cached reply is dropped when the group changes")
    @LoopActor func cache() async throws {
        let fixture = try await ServiceFixture(testMachine)
        let parameters = Groups.GetGroup.Parameters(kernelGroup: 2)
        let before = try await fixture.call(Groups.GetGroup.self, parameters)
        #expect(try await fixture.call(Groups.GetGroup.self, parameters) == before)
        fixture.keeper.update(machine(Array(testMachine.devices.dropLast()), kernel: "6.12.0"))
        #expect(try await fixture.call(Groups.GetGroup.self, parameters).group.members.count == 1)
        await fixture.stop()
    }
}

@Suite("io.vfiogroupd.Manager", .timeLimit(.minutes(15)))
struct ManagerInterfaceTests {
    @Test("status tells the host, its host bridges and what is odd")
    @LoopActor func status() async throws {
        let inventory = Inventory(
            kernel: KernelRelease("6.12.0"), hostBridges: testMachine.hostBridges, devices: testMachine.devices,
            kernelGroups: testMachine.kernelGroups,
            warnings: [InventoryWarning(device: testMachine.devices.first?.address, offset: 64, message: "odd")])
        let fixture = try await ServiceFixture(inventory, policy: .forced(.hostBridge))
        let status = try await fixture.call(Manager.GetStatus.self, .init())
        #expect(status.kernelRelease == "6.12.0")
        #expect(status.simulated)
        #expect(status.groupCount == 1 && status.deviceCount == 4)
        #expect(status.hostBridges.map(\.id) == ["pci0000:00"])
        #expect(status.hostBridges.first?.backend == .hostBridge)
        #expect(status.disagreements.map(\.group) == ["pci0000-00"])
        #expect(status.warnings.map(\.offset) == [64])
        await fixture.stop()
    }

    @Test("a host without PCI and one without an IOMMU say so in a sentence")
    @LoopActor func remarks() async throws {
        let empty = try await ServiceFixture(Inventory())
        #expect(try await empty.call(Manager.GetStatus.self, .init()).remarks.contains { $0.contains("no PCI") })
        await empty.stop()
        let open = try await ServiceFixture(machine(pciDevice("0000:00:01.0")))
        let status = try await open.call(Manager.GetStatus.self, .init())
        #expect(status.remarks.contains { $0.contains("no IOMMU isolates any device") })
        #expect(!status.isolating)
        await open.stop()
    }

    @Test("a snapshot has every device")
    @LoopActor func snapshot() async throws {
        let fixture = try await ServiceFixture(testMachine)
        let snapshot = try await fixture.call(Manager.TakeSnapshot.self, .init()).snapshot
        #expect(snapshot.version == 1)
        #expect(snapshot.devices.map(\.address.name) == testMachine.devices.map(\.address.name))
        await fixture.stop()
    }

    @Test("a group has what the host uses of it, looked up again when the host tells of a change")
    @LoopActor func uses() async throws {
        try EventLoop.main.runInBackground()
        let demo = try await DemoService()
        // However long the test takes, it is one answer.
        demo.keeper.useTiming.age = .seconds(3600)
        func uses(_ name: String) async throws -> Groups.Group {
            try await demo.call(Groups.GetGroup.self, .init(device: .init(bus: "pci", name: name))).group
        }
        let disk = try await uses("0000:02:00.0")
        #expect(disk.uses?.map(\.kind) == ["mounted", "swap"])
        let root = try #require(disk.uses?.first)
        #expect(root.address.name == "0000:02:00.0" && root.detail == "nvme0n1p2 on it is mounted at /")
        #expect(root.severity == .refuses && root.remedy == "unmount it")
        #expect(root.seen == disk.usesSeen && root.seen.hasSuffix("Z"))
        #expect(try await uses("0000:01:00.0").uses == [])
        // A physical function goes nowhere while it has virtual functions.
        #expect(try await uses("0000:83:00.0").uses?.map(\.kind) == ["virtualFunctions"])
        let listed = try await demo.call(Groups.ListGroups.self, .init()).groups
        #expect(listed.first { $0.id == disk.id }?.uses == disk.uses)

        let following = EventLoop.main.spawn { await demo.keeper.followUses() }
        defer { following.cancel() }
        let card = try #require(DeviceAddress(bus: "pci", name: "0000:01:00.0"))
        demo.keeper.useTiming.pause = .zero
        demo.machine.uses.append(DeviceUse(card, .bootDisplay))
        #expect(
            await demo.eventually {
                demo.keeper.snapshot.group(of: card).flatMap { demo.keeper.uses.uses(of: $0) }?.refuseClaim == true
            })
        #expect(try await uses("0000:01:00.0").uses?.map(\.kind) == ["bootDisplay"])
        await demo.stop()
    }
}
