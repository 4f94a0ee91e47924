// io.vfiogroupd.Claims over a real socket, on the built-in machine.

import Config
import EventLoop
import Glibc
import GroupAPI
import Grouping
import HostSnapshot
import Host
import Inventory
import JSON
import Keeper
import PCI
import Registry
import SimulatedHost
import Takeover
import Testing
import TestSupport
import Varlink

@testable import Service

@Suite("io.vfiogroupd.Claims", .timeLimit(.minutes(15)))
struct ClaimsInterfaceTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// The built-in machine, served and followed.
    @LoopActor private final class Fixture {
        let machine: SimulatedHost
        let keeper: Keeper
        let service: GroupService
        let server = VarlinkServer(.init(vendor: "v", product: "p", version: "1", url: "u"))
        let folder = TemporaryFolder()
        let following: Task<Void, Never>

        init() async throws {
            let machine = try SimulatedHost.demo()
            self.machine = machine
            let keeper = try await Keeper(testing: machine)
            self.keeper = keeper
            service = GroupService(.init(version: "1", isSimulated: true), of: keeper, Configuration(), on: server)
            try server.listen(path: folder.path + "/socket")
            following = EventLoop.main.spawn { try? await keeper.followHost() }
        }

        func client() async throws -> VarlinkClient { try await VarlinkClient.connect(to: folder.path + "/socket") }

        func state(_ name: String) -> String? {
            DeviceAddress(bus: "pci", name: name).flatMap { service.snapshot.group(of: $0) }?.state.name
        }

        /// Waits for the registry to have it so.
        func becomes(_ name: String, _ state: String) async -> Bool {
            let deadline = MonotonicTime.now + .seconds(60)
            while self.state(name) != state, .now < deadline { await EventLoop.main.yield() }
            return self.state(name) == state
        }

        func stop() async {
            following.cancel()
            keeper.stop()
            service.endMonitors()
            await server.stop(within: .milliseconds(100))
        }
    }

    private func selector(_ name: String) -> Claims.Selector { .init(device: .init(bus: "pci", name: name)) }

    private func failure(_ body: () async throws -> Void) async throws -> Claims.Failure? {
        do {
            try await body()
            return nil
        } catch let error as ClientError { return error.failure(as: Claims.Failure.self) }
    }

    @Test("a claim tells how far it is, and is there to be looked at, listed and released")
    @LoopActor func claim() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        let stream = try await client.stream(
            Claims.Claim.self, .init(selectors: [selector("0000:01:00.0")], name: "vm1", lifetime: .manual))
        var steps: [String] = []
        var status: Claims.ClaimStatus?
        while let reply = try await stream.next() {
            if let progress = reply.progress { steps.append(progress.operation.action) }
            status = reply.claim ?? status
        }
        #expect(steps.contains("pin") && steps.contains("unbind") && steps.contains("own"), "\(steps)")
        let claim = try #require(status)
        #expect(claim.state == .claimed)
        #expect(claim.owner.uid == Int(getuid()))
        #expect(claim.groups.first?.members.map(\.driverBefore) == ["nouveau", "snd_hda_intel"])
        #expect(claim.groups.first?.members.map(\.driver) == ["vfio-pci", "vfio-pci"])
        #expect(claim.since.hasSuffix("Z") && claim.since.count == 20)
        #expect(claim.ranges.map(\.last) == ["0xfedfffff", "0x7fffffffff"])
        #expect(try await client.call(Claims.GetClaim.self, .init(claim: "vm1")).claim.id == claim.id)
        #expect(try await client.call(Claims.ListClaims.self, .init()).claims.map(\.id) == [claim.id])
        let group = try await client.call(Groups.GetGroup.self, .init(id: claim.groups[0].id)).group
        #expect(group.state == .claimed)
        #expect(group.claim == claim.id)
        guard
            case .groupBusy(_, "claimed", claim.id?, "vm1"?, let owner?, claim.since?, nil)? = try await failure({
                _ = try await client.call(Claims.Claim.self, .init(selectors: [selector("0000:01:00.1")]))
            })
        else {
            Issue.record("the second claim was not refused in the right way")
            return
        }
        #expect(owner == claim.owner)
        let released = try #require(try await client.call(Claims.Release.self, .init(claim: "vm1")).claim)
        #expect(released.state == .released)
        #expect(released.groups.first?.members.map(\.driver) == ["nouveau", "snd_hda_intel"])
        #expect(released.groups.first?.members.map(\.reset) == [.reset, .reset])
        #expect(fixture.state("0000:01:00.0") == "available")
        await fixture.stop()
    }

    @Test("a release that brings only some devices home answers when the others are seen on their drivers")
    @LoopActor func partialRelease() async throws {
        let fixture = try await Fixture()
        // Nothing but what the release itself asks for is read: an event may be late.
        fixture.following.cancel()
        let client = try await fixture.client()
        _ = try await client.call(Claims.Claim.self, .init(selectors: [selector("0000:01:00.0")], name: "vm1"))
        let card = try #require(DeviceAddress(bus: "pci", name: "0000:01:00.0"))
        let audio = try #require(DeviceAddress(bus: "pci", name: "0000:01:00.1"))
        fixture.machine.perform { $0.inject(SimulatedFault(.probe, of: card, .fails(.eio), .always)) }
        let released = try #require(try await client.call(Claims.Release.self, .init(claim: "vm1")).claim)
        #expect(released.state == .restoring)
        #expect(released.groups.first?.members.map(\.driver) == [nil, "snd_hda_intel"])
        let members = fixture.keeper.snapshot.group(of: audio)?.members
        #expect(members?.map(\.device.driver) == [nil, "snd_hda_intel"])
        await fixture.stop()
    }

    @Test("descriptors come with indices, and are not the daemon's any more")
    @LoopActor func descriptors() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        let (reply, descriptors) = try await client.callReceivingDescriptors(
            Claims.Claim.self, .init(selectors: [selector("0000:01:00.0")], lifetime: .manual, access: .bound))
        let handover = try #require(reply.handover)
        #expect(handover.iommufd == 0)
        #expect(handover.ioas == 1)
        #expect(handover.devices.map(\.address.name) == ["0000:01:00.0", "0000:01:00.1"])
        #expect(handover.devices.map(\.descriptor) == [1, 2])
        #expect(descriptors.count == 3)
        #expect(reply.claim?.access == .bound)
        await fixture.stop()
    }

    @Test(
        "what another claim would lose is not forced: its claim, its owner and since when are told, and what is lost is said"
    )
    @LoopActor func dependents() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        let physical = Claims.DeviceAddress(bus: "pci", name: "0000:83:00.0")
        let held = try await client.call(
            Claims.Claim.self, .init(selectors: [selector("0000:83:00.1")], name: "vf", lifetime: .manual)
        ).claim
        let claim = try #require(held)
        let forced = Claims.Claim.Parameters(
            selectors: [selector("0000:83:00.0"), selector("0000:01:00.0")], name: "pf", lifetime: .manual,
            force: [physical])
        guard
            case .groupBusy(let group, "claimed", claim.id?, "vf"?, claim.owner?, claim.since?, let reason?)? =
                try await failure({ _ = try await client.call(Claims.Claim.self, forced) })
        else {
            Issue.record("the physical function was not refused in the right way")
            return
        }
        #expect(group == claim.groups[0].id)
        #expect(reason == "0000:83:00.1 goes when 0000:83:00.0 leaves its driver")
        _ = try await client.call(Claims.Release.self, .init(claim: "vf"))
        let taken = try #require(try await client.call(Claims.Claim.self, forced).claim)
        let pf = try #require(taken.groups.first { $0.members.contains { $0.address == physical } })
        #expect(pf.members[0].remark?.contains("went with its host driver") == true)
        let reply = try await client.call(Claims.Detach.self, .init(claim: "pf", groups: [pf.id]))
        #expect(reply.returned?.map(\.id) == [pf.id])
        #expect(reply.returned?[0].members[0].remark?.contains("MAC addresses") == true)
        #expect(reply.claim?.groups.count == 1)
        await fixture.stop()
    }

    @Test("a member that the host uses is refused by name, and taken when it is named")
    @LoopActor func inUse() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        let disk = selector("0000:02:00.0")
        guard
            case .inUse(let uses, _)? = try await failure({
                _ = try await client.call(Claims.Claim.self, .init(selectors: [disk], lifetime: .manual))
            })
        else {
            Issue.record("the disk of the root file system could be claimed")
            return
        }
        #expect(uses.map(\.reason) == ["nvme0n1p2 on it is mounted at /", "nvme0n1p3 on it is swapped to"])
        let forced = try await client.call(
            Claims.Claim.self,
            .init(selectors: [disk], lifetime: .manual, force: [.init(bus: "pci", name: "0000:02:00.0")]))
        #expect(forced.claim?.state == .claimed)
        #expect(forced.uses?.map(\.kind) == ["mounted", "swap"], "what was forced is told, too")
        await fixture.stop()
    }

    @Test("what only warns comes with the claim, and with what is added to one")
    @LoopActor func warnings() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        let card = try #require(DeviceAddress(bus: "pci", name: "0000:01:00.0"))
        let controller = try #require(DeviceAddress(bus: "pci", name: "0000:00:14.0"))
        fixture.machine.uses = [card, controller].map { DeviceUse($0, .linkUp(interface: "eth0")) }
        let claimed = try await client.call(
            Claims.Claim.self, .init(selectors: [selector("0000:01:00.0")], name: "vm", lifetime: .manual))
        let warning = try #require(claimed.uses?.first)
        #expect(claimed.uses?.count == 1 && warning.address.name == "0000:01:00.0" && warning.kind == "linkUp")
        #expect(warning.severity == .warns && warning.remedy?.isEmpty == false)
        let added = try await client.call(
            Claims.Attach.self, .init(claim: "vm", selectors: [selector("0000:00:14.0")]))
        // The other is a memory controller of the chipset, which comes along.
        #expect(added.uses?.map(\.address.name) == ["0000:00:14.0", "0000:00:14.2"])
        #expect(added.uses?.map(\.kind) == ["linkUp", "chipsetAlong"])
        await fixture.stop()
    }

    @Test("a dry run answers what the claim would do, with what a consumer needs, and makes none")
    @LoopActor func dryRun() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        let mib = 1 << 20
        let reply = try await client.call(
            Claims.Claim.self,
            .init(
                selectors: [.init(classCode: 0x020000)], name: "vm", lifetime: .manual, guestMemory: 64 * mib,
                dryRun: true
            ))
        let plan = try #require(reply.plan)
        #expect(!plan.refused && reply.claim == nil)
        #expect(plan.groups.count == 1)
        #expect(plan.groups[0].members.filter(\.selected).map(\.address.name) == ["0000:05:00.0"])
        #expect(plan.groups[0].steps.first?.driver == "vfio-pci", "the module that is loaded first")
        #expect(plan.groups[0].members.allSatisfy { $0.address.name != "0000:03:00.0" }, "the default route stays")
        #expect(plan.passedOver.contains { $0.address.name == "0000:03:00.0" && $0.kind == "route" })
        #expect(plan.groups[0].steps.last?.action == "prove")
        #expect(reply.needs?.memlock == 65 * mib)
        let disk = try await client.call(
            Claims.Claim.self, .init(selectors: [selector("0000:02:00.0")], lifetime: .manual, dryRun: true))
        #expect(disk.plan?.refused == true)
        #expect(disk.plan?.uses.map(\.kind) == ["mounted", "swap"])
        #expect(try await client.call(Claims.ListClaims.self, .init()).claims.isEmpty)
        #expect(fixture.state("0000:02:00.0") == "available")
        #expect(
            try await failure({
                _ = try await client.call(
                    Claims.Claim.self, .init(selectors: [.init(group: "nobody's")], lifetime: .manual, dryRun: true))
            }) == .noSuchGroup(group: "nobody's"))
        await fixture.stop()
    }

    @Test("a claim by class passes over the NIC of the default route, and says so when too few are left")
    @LoopActor func passesOver() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        let claim = try #require(
            try await client.call(
                Claims.Claim.self, .init(selectors: [.init(classCode: 0x020000)], lifetime: .manual)
            ).claim)
        #expect(!claim.groups.flatMap(\.members).contains { $0.address.name == "0000:03:00.0" })
        guard
            case .notEnoughGroups(_, 256, _, let uses?)? = try await failure({
                _ = try await client.call(
                    Claims.Claim.self,
                    .init(selectors: [.init(classCode: 0x020000, count: 256)], lifetime: .manual))
            })
        else {
            Issue.record("there were 256 NICs, or nothing was said of those in use")
            return
        }
        #expect(uses.contains { $0.address.name == "0000:03:00.0" && $0.reason.contains("default route") })
        await fixture.stop()
    }

    @Test("a claim for the connection ends with it; one whose client goes away before the reply never was")
    @LoopActor func connections() async throws {
        let fixture = try await Fixture()
        let short = try await fixture.client()
        _ = try await short.call(
            Claims.Claim.self, .init(selectors: [selector("0000:01:00.0")], lifetime: .connection))
        #expect(fixture.state("0000:01:00.0") == "claimed")
        short.close()
        #expect(await fixture.becomes("0000:01:00.0", "available"))

        let card = try #require(DeviceAddress(bus: "pci", name: "0000:01:00.0"))
        fixture.machine.perform { $0.inject(SimulatedFault(.unbind, of: card, .neverReturns)) }
        let gone = try await fixture.client()
        let stream = try await gone.stream(
            Claims.Claim.self, .init(selectors: [selector("0000:01:00.0")], lifetime: .manual))
        while let progress = try await stream.next()?.progress, progress.operation.action != "unbind" {}
        gone.close()
        #expect(await fixture.becomes("0000:01:00.0", "releasing"))
        fixture.machine.perform { _ = $0.releaseAll() }
        #expect(await fixture.becomes("0000:01:00.0", "available"))
        #expect(fixture.machine[card]?.driver == "nouveau")
        await fixture.stop()
    }

    @Test("nonsense is an error that names it, and changes nothing")
    @LoopActor func nonsense() async throws {
        let fixture = try await Fixture()
        let client = try await fixture.client()
        func parameter(_ parameters: Claims.Claim.Parameters) async throws -> String? {
            do throws(ClientError) {
                _ = try await client.call(Claims.Claim.self, parameters)
                return nil
            } catch {
                guard case .reply("org.varlink.service.InvalidParameter", let object) = error,
                    case .string(let path)? = object["parameter"]
                else { throw error }
                return path
            }
        }
        let good = selector("0000:01:00.0")
        #expect(try await parameter(.init(selectors: [])) == "selectors")
        #expect(try await parameter(.init(selectors: [.init()])) == "selectors[0]")
        #expect(try await parameter(.init(selectors: [good, .init(group: "a", vendorId: 1)])) == "selectors[1]")
        #expect(try await parameter(.init(selectors: [.init(vendorId: 0x10000)])) == "selectors[0].vendorId")
        #expect(try await parameter(.init(selectors: [.init(vendorId: 1, count: 0)])) == "selectors[0].count")
        #expect(try await parameter(.init(selectors: [selector("nowhere")])) == "selectors[0].device")
        #expect(try await parameter(.init(selectors: [good], waitSeconds: -1)) == "waitSeconds")
        #expect(try await parameter(.init(selectors: [good], force: [.init(bus: "", name: "")])) == "force[0]")
        #expect(try await client.call(Claims.ListClaims.self, .init()).claims.isEmpty)
        #expect(
            try await failure { _ = try await client.call(Claims.Release.self, .init(claim: "nobody's")) }
                == .noSuchClaim(claim: "nobody's"))
        await fixture.stop()
    }
}
