// Every error of io.vfiogroupd.Claims names the thing, the reason and the remedy.

import GroupAPI
import JSON
import Testing
import Varlink

@testable import vfiogroupctl

@Suite("An error of a claim, as a sentence", .timeLimit(.minutes(15)))
struct ExplanationTests {
    private let owner = Claims.Owner(uid: 1000, gid: 1000, pid: 4711, command: "qemu")

    private func sentence(_ failure: Claims.Failure) -> String { failure.sentence }

    @Test("of what is not there says where to look")
    func missing() {
        #expect(sentence(.noSuchGroup(group: "g")) == "there is no group g; vfiogroupctl list shows them all")
        #expect(
            sentence(.noSuchDevice(device: card))
                == "there is no device 0000:01:00.0 on the bus pci; vfiogroupctl devices shows them all")
        #expect(
            sentence(.noSuchDevice(device: card, reason: "it is the IOMMU itself"))
                == "0000:01:00.0 is in no group: it is the IOMMU itself. Only groups can be claimed")
        #expect(sentence(.noSuchClaim(claim: "x")) == "there is no claim x; vfiogroupctl claims lists them all")
    }

    @Test("of too few groups names the selector as it was typed")
    func tooFew() {
        let failure = Claims.Failure.notEnoughGroups(selector: 1, wanted: 2, found: 1)
        #expect(
            failure.sentence(selectors: ["g", "vendor=10de"])
                == "vendor=10de asks for 2 groups, and 1 can be had now; vfiogroupctl list shows the state of each")
        #expect(failure.sentence(selectors: []).hasPrefix("selector 2 asks for 2 groups"))
        let uses = [Claims.Use(address: card, reason: "/ is on it", remedy: "unmount it")]
        #expect(
            Claims.Failure.notEnoughGroups(selector: 0, wanted: 1, found: 0, uses: uses).sentence(selectors: [
                "class=0200"
            ])
                == """
                class=0200 asks for 1 group, and 0 can be had now; vfiogroupctl list shows the state of each
                Passed over, because the host itself uses them:
                  0000:01:00.0: / is on it
                    unmount it
                To take it all the same, name each device: --force 0000:01:00.0
                """)
    }

    @Test("of a busy group names the claim, its owner, since when, and what can be done")
    func busy() {
        #expect(
            sentence(
                .groupBusy(
                    group: "g", state: "claimed", claim: "c1", name: "vm1", owner: owner, since: "2026-01-02T03:04:05Z")
            )
                == "group g is claimed by claim c1 \"vm1\" of uid 1000, process 4711 (qemu) since 2026-01-02T03:04:05Z. "
                + "vfiogroupctl claims c1 shows it, vfiogroupctl release c1 takes it back, --wait SECONDS waits for it")
        #expect(
            sentence(.groupBusy(group: "g", state: "claimed", claim: "c1", reason: "b goes when a leaves its driver"))
                .hasPrefix("b goes when a leaves its driver, and group g is claimed by claim c1"))
        // Who is told a command is not told to wait.
        let orphaned = Claims.Failure.wrongState(subject: "g", state: "orphaned", reason: "vfiogroupctl adopt g")
        #expect(sentence(orphaned) == "g is orphaned: vfiogroupctl adopt g")
        #expect(
            sentence(.groupBusy(group: "g", state: "odd")) == "group g is odd. vfiogroupctl show g tells more")
    }

    @Test("of a device in use lists each use, and how to force it")
    func inUse() {
        let uses = [
            Claims.Use(address: card, reason: "it shows the console"), Claims.Use(address: card, reason: "/ is on it"),
            Claims.Use(address: sound, reason: "it plays"),
        ]
        #expect(
            sentence(.inUse(uses: uses, remedy: "Stop using them."))
                == """
                the host itself uses what would be taken:
                  0000:01:00.0: it shows the console
                  0000:01:00.0: / is on it
                  0000:01:00.1: it plays
                Stop using them.
                To take it all the same, name each device: --force 0000:01:00.0 --force 0000:01:00.1
                """)
    }

    @Test("of a failed takeover says what failed, and what is not as it was")
    func failed() {
        let clean = sentence(
            .takeoverFailed(
                group: "g", member: card, action: "unbind", errnoName: "EBUSY", reason: "nouveau does not let go",
                remedy: "Stop the display server.", unrestored: []))
        #expect(
            clean == """
                group g: unbind of 0000:01:00.0 failed (EBUSY): nouveau does not let go
                Stop the display server.
                All its devices are as they were before.
                """)
        let dirty = sentence(
            .takeoverFailed(
                group: "g", action: "open", reason: "r", remedy: "m",
                unrestored: [.init(address: sound, reason: "it has no driver")]))
        let lossy = sentence(
            .takeoverFailed(
                group: "g", action: "own", reason: "r", remedy: "m", unrestored: [],
                remarks: [.init(address: card, reason: "its virtual functions were made again")]))
        #expect(!lossy.contains("All its devices") && lossy.contains("0000:01:00.0: its virtual functions were made"))
        #expect(dirty.hasPrefix("group g: open failed: r\nm\n"))
        #expect(dirty.contains("goes on restoring them:\n  0000:01:00.1: it has no driver\n"))
    }

    @Test("of what is not possible here says what is")
    func impossible() {
        #expect(
            sentence(.accessNotAvailable(available: [.hold, .container], reason: "the kernel has no iommufd"))
                == "this host cannot hand over like that: the kernel has no iommufd. What it can do: --access hold, "
                + "container")
        #expect(
            sentence(.notClaimable(group: "g", reason: "no IOMMU"))
                == "group g can never be claimed here: no IOMMU (vfiogroupctl show g tells more)")
        #expect(
            sentence(.tooManyGroups(limit: 1, reason: "P7IOC")).hasPrefix("one claim can have 1 group here: P7IOC."))
        #expect(
            sentence(.accessDenied(reason: "uid 7 may not; ClaimUsers=7 would allow it"))
                == "you may not do that: uid 7 may not; ClaimUsers=7 would allow it")
    }

    @Test("of the wrong moment says what to wait for")
    func moment() {
        #expect(
            sentence(.wrongState(subject: "c1", state: "releasing", reason: "it goes back")).hasPrefix(
                "c1 is releasing: it goes back. "))
        #expect(sentence(.notRecorded(reason: "it is full", remedy: "make room")).hasSuffix("it is full\nmake room"))
    }

    @Test("is found for what a daemon replies, and a stranger's error is not lost")
    func replies() {
        let reply = ClientError.reply(name: "io.vfiogroupd.Claims.NoSuchClaim", parameters: ["claim": "x"])
        #expect(explain(reply).hasPrefix("there is no claim x"))
        let interface = ClientError.reply(
            name: "org.varlink.service.InterfaceNotFound", parameters: ["interface": "io.vfiogroupd.Simulation"])
        #expect(explain(interface).contains("simulate is only for simulations"))
        let parameter = ClientError.reply(
            name: "org.varlink.service.InvalidParameter", parameters: ["parameter": "waitSeconds"])
        #expect(explain(parameter) == "the daemon does not accept what was given as waitSeconds")
        #expect(explain(.reply(name: "x.y.Z", parameters: ["a": 1])).contains("x.y.Z"))
    }
}

@Suite("A claim, as text", .timeLimit(.minutes(15)))
struct ClaimTextTests {
    @Test("has what its members were and are, and all that is wrong")
    func text() {
        var claim = Claims.ClaimStatus.ofCard(.degraded)
        claim.groups[0].owned = false
        claim.groups[0].reason = "a device was plugged in"
        claim.groups[0].members[1].problem = "it is gone"
        claim.groups[0].operation = .init(
            action: "reset", step: 2, steps: 4, member: card, pid: 99, seconds: 31.4, blocked: true)
        claim.ranges = [.init(start: "0x0", last: "0xfedfffff"), .init(start: "0xfef00000", last: "0xffffffffff")]
        claim.unownedMoments = [
            .init(group: cardGroup, since: "2026-01-02T03:05:00Z", seconds: 1.5, cause: "the owner closed it"),
            .init(group: cardGroup, since: "2026-01-02T03:06:00Z", cause: "it fell"),
        ]
        #expect(
            claim.text == """
                claim     c1 "vm1"
                state     degraded
                owner     uid 1000, process 4711 (qemu)
                since     2026-01-02T03:04:05Z
                lifetime  manual: until somebody releases it
                access    hold
                mappable  0x0-0xfedfffff, 0xfef00000-0xffffffffff

                GROUP                 STATE     OWNED  DEVICE        BEFORE       NOW
                pci0000-00_01.0_00.0  degraded  no     0000:01:00.0  nouveau  ->  vfio-pci
                                                       0000:01:00.1  -        ->  vfio-pci  it is gone
                pci0000-00_01.0_00.0 is degraded: a device was plugged in
                pci0000-00_01.0_00.0: reset 0000:01:00.0 (2 of 4), has not returned for 31 s (process 99) and may never

                A host driver could have come in:
                  pci0000-00_01.0_00.0 from 2026-01-02T03:05:00Z for 1.5 s: the owner closed it
                  pci0000-00_01.0_00.0 from 2026-01-02T03:06:00Z until now: it fell
                """)
    }

    @Test("does not drive the terminal of who reads it")
    func controlCharacters() {
        var claim = Claims.ClaimStatus.ofCard()
        claim.name = "a\u{1b}[2Jb\nc"
        claim.owner.command = "\u{9b}x"
        #expect(claim.title == "c1 \"a?[2Jb?c\"")
        #expect(claim.owner.text == "uid 1000, process 4711 (?x)")
        #expect(!claimTable([claim]).unicodeScalars.contains("\u{1b}"))
    }

    @Test("on its way back says which drivers are there again, and what was not reset")
    func release() {
        #expect(
            Claims.ClaimStatus.released().releaseText == """
                claim c1 "vm1" is released:
                  0000:01:00.0: nouveau again; reset
                  0000:01:00.1: no driver again; not reset: the kernel knows no way to reset it
                not reset, so that they may hold what their last owner left in them: 0000:01:00.1
                """)
        var other = Claims.ClaimStatus.released()
        other.groups[0].members[0].driver = "other"
        #expect(other.releaseText.contains("0000:01:00.0: other now, nouveau before; reset"))
    }
}
