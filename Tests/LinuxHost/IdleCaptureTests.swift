// Refusals that are none: on a captured machine, of which nobody uses a thing, no device is to be taken for used but its display.

import EventLoop
import Host
import Inventory
import Testing
import TestSupport

@testable import LinuxHost

@Suite("What a captured machine uses", .timeLimit(.minutes(15)))
struct IdleCaptureTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// The display that the machine booted on is in use whoever looks at it. What captured POWER has left out the network
    /// interfaces, and a folder `net` without any is one whose interfaces are elsewhere.
    private static let told: Set = ["bootDisplay", "otherNetwork"]

    @Test("is no more than its display, and networks that the capture left out", .realCaptures, arguments: Capture.all)
    @LoopActor func idle(capture: Capture) async throws {
        // A capture has no processes, mounts or routes, or not those of the machine: here there are none.
        let folder = TemporaryFolder()
        folder.link("sys", to: capture.root + "/sys")
        folder.write("proc/1/mountinfo", "20 1 0:20 / /proc rw - proc proc rw\n")
        folder.link("proc/1/ns/mnt", to: "mnt:[1]")
        folder.link("proc/1/ns/pid", to: "pid:[4026531836]")
        let host = LinuxHost(root: folder.path, writable: true)
        let devices = try await host.readInventory().devices.map(\.address)
        #expect(!devices.isEmpty)
        for use in await host.uses(of: devices) { #expect(Self.told.contains(use.rule.word), "\(use)") }
    }
}
