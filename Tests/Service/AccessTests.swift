// Who may do what, and that whatever a client changed or was refused is one line for the journal.

import Config
import EventLoop
import Glibc
import GroupAPI
import Inventory
import JSON
import PCI
import Registry
import SimulatedHost
import Systemd
import Takeover
import Testing
import TestSupport
import Varlink

@testable import Service

@Suite("Access", .timeLimit(.minutes(15)))
struct AccessTests {
    init() throws { try EventLoop.main.runInBackground() }

    private func policy(_ text: String) throws -> AccessPolicy { try DemoService.loaded(text).configuration.access }

    private func client(
        uid: UInt32 = 1000, gid: UInt32 = 100, groups: [UInt32] = [], unit: String? = nil
    ) -> Client {
        Client(
            peer: Peer(pid: 5, uid: uid, gid: gid), groups: groups, process: nil, command: nil,
            unit: unit.flatMap { SystemUnit(cgroup: "0::/system.slice/\($0)") })
    }

    @Test("users, groups by either kind of membership, and units may be granted claims")
    func grants() throws {
        let access = try policy("[Access]\nClaimUsers=1\nClaimGroups=20\nClaimUnits=vm@.service libvirtd.service")
        let granted = [
            client(uid: 1), client(gid: 20), client(groups: [7, 20]), client(unit: "libvirtd.service"),
            client(unit: "vm@3.service"),
        ]
        for client in granted { #expect(access.reasonAgainstClaims(by: client) == nil, "\(client)") }
        for client in [client(), client(groups: [7]), client(unit: "other.service")] {
            #expect(access.reasonAgainstClaims(by: client) != nil, "\(client)")
        }
    }

    @Test("a denial names who asked, and what would allow it")
    func denial() throws {
        let reason = try #require(
            AccessPolicy().reasonAgainstClaims(by: client(groups: [7, 100], unit: "other.service")))
        #expect(
            reason == "uid 1000 (groups 100, 7; other.service) may not claim groups: only root may. In [Access] of "
                + "vfiogroupd.conf ClaimUsers=1000, ClaimGroups=100 or ClaimUnits=other.service would allow it, after "
                + "vfiogroupctl reload")
    }

    @Test("reading is open until somebody is named, and then to those and to who may claim")
    func reading() throws {
        #expect(AccessPolicy().reasonAgainstReading(by: client()) == nil)
        let access = try policy("[Access]\nReadUsers=1\nClaimUsers=2")
        #expect(access.reasonAgainstReading(by: client(uid: 1)) == nil)
        #expect(access.reasonAgainstReading(by: client(uid: 2)) == nil)
        #expect(access.reasonAgainstReading(by: client())?.contains("ReadUsers=1000") == true)
        #expect(access.reasonAgainstClaims(by: client(uid: 1)) != nil)
    }

    @Test("a client is known with its process, its command and its groups")
    @LoopActor func caller() async throws {
        let demo = try await DemoService()
        let client = try await demo.client()
        _ = try await client.call(
            Claims.Claim.self, .init(selectors: [selector("0000:01:00.0")], name: "vm", lifetime: .manual))
        let message = try #require(demo.messages.first { $0.kind == .claimGranted })
        #expect(message.fields.contains(.init(.clientPID, "\(getpid())")))
        #expect(message.fields.contains(.init(.clientUID, "\(getuid())")))
        #expect(message.fields.contains(.init(.claimName, "vm")))
        #expect(message.fields.contains(.init(.group, "pci0000-00_01.0_00.0")))
        #expect(message.fields.filter { $0.name == .device }.map(\.value) == ["0000:01:00.0", "0000:01:00.1"])
        #expect(message.text.hasPrefix("granted a claim of 0000:01:00.0 to uid \(getuid()), process \(getpid()) ("))
        _ = try await demo.refusal { _ = try await client.call(Claims.Release.self, .init(claim: "nobody's")) }
        let refused = try #require(demo.messages.last)
        #expect(refused.kind == .requestRefused)
        #expect(refused.fields.contains(.init(.errorName, "io.vfiogroupd.Claims.NoSuchClaim")))
        #expect(refused.text.contains("refused the release of claim nobody's to uid"))
        _ = try await client.call(Claims.Release.self, .init(claim: "vm"))
        #expect(demo.messages.contains { $0.kind == .claimReleased })
        await demo.stop()
    }

    @Test("who is not root may do what it was granted, and neither force, adopt, unquarantine nor reload")
    @LoopActor func ordinary() async throws {
        let demo = try await DemoService("[Access]\nClaimUsers=\(getuid())\n")
        demo.service.administrators = []
        let client = try await demo.client()
        let granted = try await client.call(
            Claims.Claim.self, .init(selectors: [selector("0000:01:00.0")], name: "vm", lifetime: .manual))
        #expect(granted.claim?.state == .claimed)
        _ = try await client.call(Claims.Release.self, .init(claim: "vm"))
        let refusals = [
            try await demo.refusal {
                _ = try await client.call(
                    Claims.Claim.self,
                    .init(selectors: [selector("0000:02:00.0")], force: [.init(bus: "pci", name: "0000:02:00.0")]))
            },
            try await demo.refusal {
                _ = try await client.call(Claims.Adopt.self, .init(group: "pci0000-80_01.0_00.0_08.0_00.0_vf2"))
            },
            try await demo.refusal { _ = try await client.call(Claims.Unquarantine.self, .init(group: "x")) },
        ]
        for refusal in refusals {
            guard case .accessDenied(let reason)? = refusal else {
                Issue.record("\(String(describing: refusal))")
                continue
            }
            #expect(reason.contains("only root may"))
        }
        do {
            _ = try await client.call(Manager.Reload.self, .init())
            Issue.record("anybody may reload")
        } catch {
            #expect(error.failure(as: Manager.Failure.self) != nil)
        }
        #expect(demo.messages.filter { $0.kind == .requestRefused }.count == 4)
        await demo.stop()
    }

    @Test("a reload takes rights away and gives them, for connections that are there, too")
    @LoopActor func reload() async throws {
        let demo = try await DemoService()
        demo.service.administrators = []
        let client = try await demo.client()
        let claim = Claims.Claim.Parameters(selectors: [selector("0000:01:00.0")], name: "vm", lifetime: .manual)
        #expect(
            try await demo.refusal { _ = try await client.call(Claims.Claim.self, claim) } != nil)
        #expect(try await client.call(Groups.GetGroup.self, .init(kernelGroup: 2)).group.state == .available)
        _ = demo.service.reconfigure(try DemoService.loaded("[Access]\nReadUsers=\(getuid() + 1)"))
        for call in [
            { _ = try await client.call(Groups.GetGroup.self, .init(kernelGroup: 2)) },
            { _ = try await client.call(Groups.ListGroups.self, .init()) },
            { _ = try await client.call(Claims.ListClaims.self, .init()) },
            { _ = try await client.call(Manager.GetStatus.self, .init()) },
        ] as [@LoopActor () async throws -> Void] {
            do {
                try await call()
                Issue.record("it could be read")
            } catch let error as ClientError {
                guard case .reply(let name, let parameters) = error, case .string(let reason)? = parameters["reason"]
                else { throw error }
                #expect(name.hasSuffix(".AccessDenied"))
                #expect(reason.contains("ReadUsers=\(getuid())"))
            }
        }
        // Who is asking what is served can always be told.
        #expect(try await client.call(VarlinkService.GetInfo.self, .init()).vendor == "v")
        _ = demo.service.reconfigure(try DemoService.loaded("[Access]\nClaimGroups=\(getgid())"))
        #expect(try await client.call(Claims.Claim.self, claim).claim?.state == .claimed)
        await demo.stop()
    }

    @Test("a monitor outlives a reload that lets its client read, and ends with the reason after one that does not")
    @LoopActor func monitor() async throws {
        let demo = try await DemoService()
        demo.service.administrators = []
        let card = DeviceAddress.pci(PCIAddress(domain: 0, bus: 1, device: 0, function: 0))
        let stream = try await demo.client().stream(Groups.Monitor.self, .init())
        #expect(try await stream.next()?.kind == .ready)
        _ = demo.service.reconfigure(try DemoService.loaded("[Access]\nReadUsers=\(getuid())"))
        demo.machine.perform { kernel in _ = kernel.write(.unbind(card, from: "nouveau")) }
        #expect(try await stream.next()?.kind == .memberDriverChanged)
        _ = demo.service.reconfigure(try DemoService.loaded("[Access]\nReadUsers=\(getuid() + 1)"))
        // What happens now is nothing for it any more.
        demo.machine.perform { kernel in _ = kernel.write(.driversProbe(card)) }
        do {
            _ = try await stream.next()
            Issue.record("the monitor goes on")
        } catch {
            guard case .accessDenied(let reason)? = error.failure(as: Groups.Failure.self) else { throw error }
            #expect(reason.contains("ReadUsers=\(getuid())"))
        }
        #expect(demo.service.monitors.count == 0)
        #expect(demo.messages.contains { $0.kind == .requestRefused && $0.text.hasPrefix("ended a monitor of uid ") })
        await demo.stop()
    }

    @Test("there are no more claims than there may be, of one user and of all; root's own are not counted against it")
    @LoopActor func limits() async throws {
        let demo = try await DemoService("[Limits]\nClaims=2\nClaimsPerUser=1\n[Access]\nClaimUsers=\(getuid())")
        let client = try await demo.client()
        func claim(_ name: String) async throws -> Claims.Failure? {
            try await demo.refusal {
                _ = try await client.call(Claims.Claim.self, .init(selectors: [selector(name)], lifetime: .manual))
            }
        }
        demo.service.administrators = []
        #expect(try await claim("0000:01:00.0") == nil)
        guard case .tooManyClaims(1, let own)? = try await claim("0000:84:00.0") else {
            Issue.record("a user can have more claims than ClaimsPerUser=")
            return
        }
        #expect(own.contains("ClaimsPerUser="))
        demo.service.administrators = [getuid()]
        #expect(try await claim("0000:84:00.0") == nil)
        guard case .tooManyClaims(2, let all)? = try await claim("0000:05:00.0") else {
            Issue.record("there can be more claims than Claims=")
            return
        }
        #expect(all.contains(" Claims="))
        _ = demo.service.reconfigure(try DemoService.loaded("[Limits]\nClaims=3"))
        #expect(try await claim("0000:05:00.0") == nil)
        await demo.stop()
    }

    @Test("limits of connections follow a reload; what is connected stays")
    @LoopActor func connections() async throws {
        let demo = try await DemoService()
        let first = try await demo.client()
        _ = try await first.call(VarlinkService.GetInfo.self, .init())
        _ = demo.service.reconfigure(try DemoService.loaded("[Limits]\nConnectionsPerUser=1"))
        let second = try await demo.client()
        do {
            _ = try await second.call(VarlinkService.GetInfo.self, .init())
            Issue.record("a second connection was served")
        } catch {}
        #expect(try await first.call(VarlinkService.GetInfo.self, .init()).vendor == "v")
        await demo.stop()
    }
}
