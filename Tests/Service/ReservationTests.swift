// Reservations on the built-in machine: taken at the start or when the device comes, never twice, never another device.

import Config
import EventLoop
import GroupAPI
import Grouping
import HostSnapshot
import Inventory
import Keeper
import PCI
import Registry
import SimulatedHost
import Systemd
import Takeover
import Testing
import TestSupport
import Varlink

@testable import Service

@Suite("Reservations", .timeLimit(.minutes(10)))
struct ReservationTests {
    init() throws { try EventLoop.main.runInBackground() }

    private static let card = PCIAddress(domain: 0, bus: 1, device: 0, function: 0)
    private static let gaming = "[Reservation gaming]\nDevice=01:00.0\n"

    @Test("a reserved device is claimed for root until somebody releases it, and what had it first is told with a cure")
    @LoopActor func taken() async throws {
        let demo = try await DemoService(
            "[Reservation gaming]\nGroup=pci0000-00_01.0_00.0\nVendorId=10de\nDeviceId=2684\n")
        #expect(await demo.eventually { demo.isClaimed("gaming") })
        let claim = try await demo.call(Claims.GetClaim.self, .init(claim: "gaming")).claim
        #expect(claim.state == .claimed)
        #expect(claim.lifetime == .manual)
        #expect(claim.owner.command == "reservation")
        let status = try await demo.call(Manager.GetStatus.self, .init()).reservations
        #expect(status.map(\.state) == [.claimed])
        #expect(status.first?.claim == claim.id)
        #expect(status.first?.group == "pci0000-00_01.0_00.0")
        #expect(status.first?.reason?.contains("the host driver nouveau had 0000:01:00.0 first") == true)
        #expect(status.first?.remedy?.contains("initramfs") == true)
        let lost = try #require(demo.messages.first { $0.kind == .raceLost })
        #expect(lost.fields.contains(.init(.reservation, "gaming")) && lost.fields.contains(.init(.claim, claim.id)))
        #expect(demo.messages.contains { $0.kind == .reservationTaken })
        _ = try await demo.call(Claims.Release.self, .init(claim: "gaming"))
        #expect(await demo.eventually { demo.state(of: "gaming") == .released })
        #expect(demo.machine[.pci(Self.card)]?.driver == "nouveau")
        await demo.stop()
    }

    @Test("another device than the one that is meant is left alone, and both are named")
    @LoopActor func mismatch() async throws {
        let demo = try await DemoService(Self.gaming + "VendorId=1002\nDeviceId=744c\n")
        guard case .mismatched(let reason)? = demo.state(of: "gaming") else {
            Issue.record("\(String(describing: demo.state(of: "gaming")))")
            return
        }
        #expect(reason == "it is for 0x1002:0x744c, and there is 0000:01:00.0 (0x10de:0x2684)")
        #expect(demo.machine[.pci(Self.card)]?.driver == "nouveau")
        #expect(try await demo.call(Claims.ListClaims.self, .init()).claims.isEmpty)
        await demo.stop()
    }

    @Test("a device that comes later is taken then")
    @LoopActor func later() async throws {
        let machine = try SimulatedHost.demo()
        let disk = DeviceAddress.pci(PCIAddress(domain: 0, bus: 0x85, device: 0, function: 0))
        machine.perform { _ = $0.write(.remove(disk)) }
        let demo = try await DemoService("[Reservation disk]\nDevice=85:00.0\n", on: machine)
        #expect(demo.state(of: "disk") == .absent(reason: "there is no device 0000:85:00.0"))
        machine.perform { _ = $0.write(.rescan) }
        #expect(await demo.eventually { demo.isClaimed("disk") })
        #expect(machine[disk]?.driver == "vfio-pci")
        await demo.stop()
    }

    @Test("a reserved physical function waits for whoever has one of its virtual functions, though it is forced")
    @LoopActor func virtualFunctions() async throws {
        let demo = try await DemoService()
        _ = try await demo.call(
            Claims.Claim.self, .init(selectors: [selector("0000:83:00.2")], name: "vm", lifetime: .manual))
        let reserved = "[Reservation pf]\nDevice=83:00.0\nForce=83:00.0\n"
        _ = demo.service.reconfigure(try DemoService.loaded(reserved))
        for _ in 0..<100 { await EventLoop.main.yield() }
        #expect(demo.state(of: "pf") == .pending)
        #expect(demo.machine[.pci(PCIAddress(domain: 0, bus: 0x83, device: 0, function: 2))]?.driver == "vfio-pci")
        _ = try await demo.call(Claims.Release.self, .init(claim: "vm"))
        #expect(await demo.eventually { demo.isClaimed("pf") })
        await demo.stop()
    }

    @Test("a group that somebody else has is waited for, and one that the host uses is not taken without Force=")
    @LoopActor func obstacles() async throws {
        let demo = try await DemoService()
        let claim = try await demo.call(
            Claims.Claim.self, .init(selectors: [selector("0000:01:00.1")], name: "vm", lifetime: .manual)
        ).claim
        #expect(claim?.state == .claimed)
        let used = Self.gaming + "[Reservation disk]\nDevice=02:00.0\n"
        _ = demo.service.reconfigure(try DemoService.loaded(used))
        #expect(
            await demo.eventually { if case .failed? = demo.state(of: "disk") { true } else { false } })
        guard case .failed(let reason, let remedy)? = demo.state(of: "disk") else { return }
        #expect(reason.contains("nvme0n1p2 on it is mounted at /"))
        #expect(remedy?.contains("Force=") == true)
        #expect(demo.state(of: "gaming") == .pending)
        #expect(demo.keeper.reservationsMissing == 2)
        _ = try await demo.call(Claims.Release.self, .init(claim: "vm"))
        #expect(await demo.eventually { demo.isClaimed("gaming") })
        _ = demo.service.reconfigure(try DemoService.loaded(used + "Force=02:00.0\n"))
        #expect(await demo.eventually { demo.isClaimed("disk") })
        #expect(demo.isClaimed("gaming"))
        await demo.stop()
    }

    @Test("a restart finds the claim again; what was released stays so until the next boot, or a reload that wishes it")
    @LoopActor func restart() async throws {
        let machine = try SimulatedHost.demo()
        let journal = JournalInMemory()
        let folder = TemporaryFolder()
        let record = folder.path + "/reservations"
        var demo = try await DemoService(Self.gaming, on: machine, journal: journal, record: record)
        #expect(await demo.eventually { demo.isClaimed("gaming") })
        let first = demo.state(of: "gaming")
        await demo.stop()

        demo = try await DemoService(Self.gaming, on: machine, journal: journal, record: record)
        #expect(demo.state(of: "gaming") == first)
        #expect(try await demo.call(Claims.ListClaims.self, .init()).claims.count == 1)
        _ = try await demo.call(Claims.Release.self, .init(claim: "gaming"))
        await demo.stop()

        demo = try await DemoService(Self.gaming, on: machine, journal: journal, record: record)
        #expect(demo.state(of: "gaming") == .released)
        _ = demo.service.reconfigure(try DemoService.loaded(Self.gaming))
        #expect(demo.state(of: "gaming") == .released)
        _ = demo.service.reconfigure(try DemoService.loaded(Self.gaming), reserveAgain: true)
        #expect(await demo.eventually { demo.isClaimed("gaming") })
        _ = try await demo.call(Claims.Release.self, .init(claim: "gaming"))
        await demo.stop()

        demo = try await DemoService(
            Self.gaming, on: machine, journal: JournalInMemory(), record: record, bootID: "the next one")
        #expect(await demo.eventually { demo.isClaimed("gaming") })
        await demo.stop()
    }

    @Test(
        "what an early helper pinned goes back to what the kernel chooses, and what was on vfio stays there",
        arguments: [true, false])
    @LoopActor func prepared(isBound: Bool) async throws {
        let machine = try SimulatedHost.demo()
        let card = DeviceAddress.pci(Self.card)
        machine.perform { kernel in
            _ = kernel.write(.unbind(card, from: "nouveau"))
            _ = kernel.write(.driverOverride(card, isBound ? "vfio-pci\n" : "none-such\n"))
            if isBound { _ = kernel.write(.driversProbe(card)) }
        }
        #expect(machine[card]?.driver == (isBound ? "vfio-pci" : nil))
        let demo = try await DemoService(Self.gaming, on: machine)
        #expect(await demo.eventually { demo.isClaimed("gaming") }, "\(String(describing: demo.state(of: "gaming")))")
        #expect(machine[card]?.driver == "vfio-pci")
        let released = try await demo.call(Claims.Release.self, .init(claim: "gaming")).claim
        #expect(released?.state == .released)
        #expect(machine[card]?.driver == (isBound ? "vfio-pci" : "nouveau"))
        #expect(machine[card]?.driverOverride.value == (isBound ? "vfio-pci" : nil))
        await demo.stop()
    }

    @Test("a reserved device that leaves and comes back is taken again")
    @LoopActor func comesBack() async throws {
        let demo = try await DemoService(Self.gaming)
        let card = DeviceAddress.pci(Self.card)
        #expect(await demo.eventually { demo.isClaimed("gaming") })
        let members = try #require(demo.keeper.snapshot.group(of: card)).group.members
        let devices = members.compactMap { demo.machine[$0] }
        demo.machine.perform { kernel in for member in members { _ = kernel.unplug(member) } }
        #expect(
            await demo.eventually {
                if case .absent? = demo.state(of: "gaming") { true } else { false }
            })
        for (index, device) in devices.enumerated() {
            let group = demo.machine[members[0]]?.kernelGroup
            try demo.machine.perform { (kernel) throws(KernelErrno) in
                try kernel.plug(device, into: index == 0 ? .newGroup : group.map { .group($0) } ?? .newGroup)
                kernel.settle()
            }
        }
        #expect(await demo.eventually { demo.isClaimed("gaming") }, "\(String(describing: demo.state(of: "gaming")))")
        #expect(await demo.eventually { demo.machine[card]?.driver == "vfio-pci" })
        await demo.stop()
    }

    @Test("what the udev rule reads follows start, reload and release")
    @LoopActor func list() async throws {
        let folder = TemporaryFolder()
        let (list, record) = (folder.path + "/reservations", folder.path + "/reservations.taken")
        let line = "gaming\tdevice\t0000:01:00.0\t-\n"
        let demo = try await DemoService(Self.gaming, record: record, list: list)
        #expect(await demo.eventually { demo.isClaimed("gaming") })
        #expect(folder.read("reservations") == line)
        let more = Self.gaming + "[Reservation late]\nGroup=pci0000-00_07.0_00.0\n"
        _ = demo.service.reconfigure(try DemoService.loaded(more))
        #expect(folder.read("reservations") == line + "late\tgroup\tpci0000-00_07.0_00.0\t-\n")
        _ = demo.service.reconfigure(try DemoService.loaded(Self.gaming))
        #expect(folder.read("reservations") == line)
        _ = try await demo.call(Claims.Release.self, .init(claim: "gaming"))
        // A new device there is its host driver's.
        #expect(await demo.eventually { folder.read("reservations") == nil })
        _ = demo.service.reconfigure(try DemoService.loaded(Self.gaming), reserveAgain: true)
        #expect(folder.read("reservations") == line)
        await demo.stop()
    }

    @Test("a reservation that is gone from the configuration keeps its claim, and that is said")
    @LoopActor func removed() async throws {
        let demo = try await DemoService(Self.gaming)
        #expect(await demo.eventually { demo.isClaimed("gaming") })
        let outcome = demo.service.reconfigure(try DemoService.loaded(""))
        #expect(outcome.notes.count == 1)
        #expect(outcome.notes.first?.contains("vfiogroupctl release gaming") == true)
        #expect(try await demo.call(Claims.GetClaim.self, .init(claim: "gaming")).claim.state == .claimed)
        await demo.stop()
    }
}
