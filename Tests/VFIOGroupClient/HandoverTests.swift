// Descriptors that come with a claim: what they are of, that they work, and that each is closed once.

import Foundation
import GroupAPI
import Testing
import TestSupport
import VFIOGroupClient

@Suite("What the client is handed", .timeLimit(.minutes(10)))
struct HandoverTests {
    @Test("bound devices and their iommufd, usable, and closed with the release")
    func bound() async throws {
        let daemon = try await RunningDaemon()
        let claim = try await daemon.client.claim(.device(.pci("0000:01:00.0")), name: "gaming", access: .bound)
        #expect(claim.status.state == .claimed)
        #expect(claim.handover?.access == .bound)
        #expect(claim.handover?.ioas != nil)
        #expect(claim.needs?.resets.isEmpty == false)
        #expect(claim.descriptors.first?.kind == .iommufd)
        #expect(claim.descriptors.compactMap(\.device) == [.pci("0000:01:00.0"), .pci("0000:01:00.1")])
        #expect(claim.descriptors.map(\.name) == ["iommufd", "0000:01:00.0", "0000:01:00.1"])
        let targets = claim.descriptors.compactMap(\.number).compactMap(target(of:))
        #expect(Set(targets).count == 3)
        for number in claim.descriptors.compactMap(\.number) {
            #expect(fcntl(number, F_GETFD) & FD_CLOEXEC != 0)
            #expect(write(number, "x", 1) == 1, "the simulated kernel's files take what is written")
        }
        let released = try await claim.release()
        #expect(released.state == .released)
        #expect(claim.descriptors.allSatisfy { $0.number == nil })
        #expect(!targets.contains(where: isOpen))
        #expect(claim.descriptors.map(\.description).last == "0000:01:00.1 (closed)")
        try await daemon.stop()
    }

    @Test("kernel groups and their container")
    func container() async throws {
        let daemon = try await RunningDaemon()
        let claim = try await daemon.client.claim(.device(.pci("0000:01:00.0")), access: .container)
        #expect(claim.descriptors.map(\.kind) == [.container, .kernelGroup(2)])
        #expect(claim.descriptors.map(\.name) == ["container", "kernel group 2"])
        try await claim.release()
        try await daemon.stop()
    }

    @Test("claimed first, launched and attached to later")
    func launch() async throws {
        let daemon = try await RunningDaemon()
        let client = daemon.client
        let claim = try await client.claim(.device(.pci("0000:01:00.0")))
        #expect(claim.handover == nil)
        #expect(claim.descriptors.isEmpty)
        let launched = try await client.launch(claim.id, access: .bound, guestMemory: 1 << 30)
        #expect(launched.descriptors.count == 3)
        #expect(launched.needs?.memlock == (1 << 30) + (1 << 20))
        let attached = try await client.attach([.device(.pci("0000:05:00.0"))], to: claim.id)
        #expect(attached.id == claim.id)
        #expect(attached.descriptors.compactMap(\.device).contains(.pci("0000:05:00.0")))
        for descriptor in attached.descriptors { descriptor.close() }
        #expect(try await launched.release().state == .released)
        #expect(try await client.claims().isEmpty)
        try await daemon.stop()
    }

    @Test("closed with the last reference, and left alone once taken")
    func ownership() async throws {
        let daemon = try await RunningDaemon()
        let client = daemon.client
        var claim: HeldClaim? = try await client.claim(.device(.pci("0000:05:00.0")), access: .bound)
        let id = try #require(claim?.id)
        let targets = claim?.descriptors.compactMap(\.number).compactMap(target(of:)) ?? []
        let taken = try #require(claim?.descriptors.last?.take())
        #expect(claim?.descriptors.last?.take() == nil)
        claim?.descriptors.last?.close()
        claim = nil
        #expect(targets.count > 1)
        #expect(targets.filter(isOpen) == targets.suffix(1))
        #expect(target(of: taken) == targets.last)
        close(taken)
        #expect(try await client.release(id).state == .released)
        try await daemon.stop()
    }

    @Test("a claim that lasts as long as its connection ends with the last copy of what holds it")
    func connection() async throws {
        let daemon = try await RunningDaemon()
        let idle = await daemon.socketsWithoutClients()
        let client = daemon.client
        var claim: HeldClaim? = try await client.claim(
            .device(.pci("0000:05:00.0")), access: .bound, lifetime: .connection)
        #expect(await eventually(within: 60) { daemon.sockets > idle })
        #expect(try await daemon.group(of: "0000:05:00.0", gets: .claimed))
        #expect(claim?.status.lifetime == .connection)
        claim = nil
        #expect(try await daemon.group(of: "0000:05:00.0", gets: .available))
        #expect(await daemon.has(sockets: idle))
        #expect(try await client.claims().isEmpty)
        try await daemon.stop()
    }
}
