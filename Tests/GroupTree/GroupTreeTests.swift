// The tree of groups: what is in a folder, that it follows the registry, and that no reader sees half a group.

import EventLoop
import Files
import Foundation
import Grouping
import Host
import Inventory
import Keeper
import Registry
import SimulatedHost
import Testing
import TestSupport

@testable import GroupTree

@Suite("The tree of groups", .timeLimit(.minutes(15)))
struct GroupTreeTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// A keeper, and a folder for its tree.
    @LoopActor private final class Fixture {
        let keeper: Keeper
        let folder = TemporaryFolder()
        private(set) var tree: GroupTree?

        init(_ inventory: Inventory) async throws { keeper = try await Keeper(testing: ChangingHost(inventory)) }

        func keepTree(at path: String, onFailure: @escaping @LoopActor (FileFailure) -> Void) throws {
            tree = try GroupTree(of: keeper, at: path, sysfs: "simulated/sys", onFailure: onFailure)
        }
    }

    private func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
    private func names(_ path: String) -> Set<String> {
        // Names that begin with a dot are the tree's own business, and no shell lists them.
        Set(((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).filter { !$0.hasPrefix(".") })
    }

    @Test("has a folder a group with its attributes and links")
    @LoopActor func contents() async throws {
        let fixture = try await Fixture(testMachine)
        let path = fixture.folder.path + "/groups"
        try fixture.keepTree(at: path) { Issue.record("\($0)") }
        await fixture.tree?.settle()
        #expect(names(path) == ["pci0000-00_01.0", "pci0000-00_01.0_00.0"])
        let group = path + "/pci0000-00_01.0_00.0/"
        #expect(text(group + "state") == "available\n")
        #expect(text(group + "backend") == "kernel\n")
        #expect(text(group + "host_bridges") == "pci0000:00\n")
        #expect(text(group + "kernel_groups") == "2\n")
        #expect(text(group + "complete") == "no\n")
        #expect(text(group + "blockers") == "0000:01:00.0 nouveau\n0000:01:00.1 snd_hda_intel\n")
        #expect(text(group + "claim") == "")
        #expect(text(group + "dma_windows") == "")
        #expect(names(group + "devices") == ["0000:01:00.0", "0000:01:00.1"])
        #expect(names(group + "bridges").isEmpty)
        #expect(names(path + "/pci0000-00_01.0/bridges") == ["0000:00:01.0"])
        var (one, other) = (stat(), stat())
        stat(group + "backend", &one)
        stat(path + "/pci0000-00_01.0/backend", &other)
        #expect(one.st_ino == other.st_ino, "a text that groups have in common takes memory once")
        let target = try FileManager.default.destinationOfSymbolicLink(atPath: group + "devices/0000:01:00.0")
        #expect(target == "simulated/sys/bus/pci/devices/0000:01:00.0")
        await fixture.tree?.remove()
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("follows drivers, numbers, groups that come and groups that go")
    @LoopActor func follows() async throws {
        let fixture = try await Fixture(testMachine)
        let path = fixture.folder.path + "/groups"
        try fixture.keepTree(at: path) { Issue.record("\($0)") }
        fixture.keeper.update(
            machine(
                pciDevice("0000:00:01.0", group: 1, isBridge: true, driver: "pcieport"),
                pciDevice("0000:01:00.0", parent: "0000:00:01.0", group: 9, driver: "vfio-pci"),
                pciDevice("0000:01:00.1", parent: "0000:00:01.0", group: 9), kernel: "6.12.0"))
        await fixture.tree?.settle()
        let group = path + "/pci0000-00_01.0_00.0/"
        #expect(text(group + "state") == "orphaned\n")
        #expect(text(group + "complete") == "yes\n")
        #expect(text(group + "kernel_groups") == "9\n")
        // The number alone, which no event tells.
        fixture.keeper.update(
            machine(
                pciDevice("0000:00:01.0", group: 1, isBridge: true, driver: "pcieport"),
                pciDevice("0000:01:00.0", parent: "0000:00:01.0", group: 8, driver: "vfio-pci"),
                pciDevice("0000:01:00.1", parent: "0000:00:01.0", group: 8), kernel: "6.12.0"))
        await fixture.tree?.settle()
        #expect(text(group + "kernel_groups") == "8\n")
        fixture.keeper.update(machine(pciDevice("0000:00:05.0", group: 4)))
        await fixture.tree?.settle()
        #expect(names(path) == ["pci0000-00_05.0"])
    }

    @Test("says what the host uses, and of what a claim would refuse that it is in use")
    @LoopActor func uses() async throws {
        let folder = TemporaryFolder()
        let machine = SimulatedHost(name: "a test", inventory: testMachine)
        let card = try #require(testMachine.devices.last).address
        let keeper = try await Keeper(testing: machine)
        keeper.useTiming.pause = .zero
        let tree = try GroupTree(of: keeper, at: folder.path + "/groups", sysfs: "/sys") { Issue.record("\($0)") }
        let following = EventLoop.main.spawn { await keeper.followUses() }
        let group = folder.path + "/groups/pci0000-00_01.0_00.0/"
        func becomes(_ state: String, _ uses: String) async -> Bool {
            let deadline = MonotonicTime.now + .seconds(60)
            while .now < deadline {
                await EventLoop.main.yield()
                await tree.settle()
                if text(group + "state") == state, text(group + "uses") == uses { return true }
            }
            return false
        }
        #expect(await becomes("available\n", ""))
        machine.uses = [DeviceUse(card, .swap(via: "sda2"))]
        #expect(await becomes("in use\n", "0000:01:00.1 swap refuses sda2 on it is swapped to\n"))
        machine.uses = [DeviceUse(card, .linkUp(interface: "eth0"))]
        #expect(
            await becomes(
                "available\n",
                "0000:01:00.1 linkUp warns its interface eth0 is up, with no more than a link-local address\n"))
        following.cancel()
        keeper.stop()
        await tree.remove()
    }

    @Test("what an earlier daemon left is brought up to date or removed")
    @LoopActor func leftovers() async throws {
        let fixture = try await Fixture(testMachine)
        let folder = fixture.folder
        folder.write("groups/pci0000-77_00.0/state", "claimed\n")
        folder.write("groups/pci0000-00_01.0/state", "claimed\n")
        folder.write("groups/.new-pci0000-00_01.0/devices/x", "")
        try fixture.keepTree(at: folder.path + "/groups") { Issue.record("\($0)") }
        await fixture.tree?.settle()
        #expect(names(folder.path + "/groups") == ["pci0000-00_01.0", "pci0000-00_01.0_00.0"])
        #expect(text(folder.path + "/groups/pci0000-00_01.0/state") == "unavailable\n")
    }

    @Test("is not kept where others can write, and a tree that cannot be written is told of once")
    @LoopActor func refused() async throws {
        let fixture = try await Fixture(testMachine)
        let folder = fixture.folder
        folder.makeFolder("open")
        chmod(folder.path + "/open", 0o777)
        #expect(throws: FileFailure.self) { try fixture.keepTree(at: folder.path + "/open") { _ in } }
        var failures = 0
        try fixture.keepTree(at: folder.path + "/groups") { _ in failures += 1 }
        // Nothing can be made below a file.
        folder.remove("groups")
        folder.write("groups", "")
        await fixture.tree?.settle()
        #expect(failures == 1)
    }

    @Test("a reader who opens a folder has all of it, of one moment, while it is replaced")
    @LoopActor func whole() async throws {
        let fixture = try await Fixture(testMachine)
        let path = fixture.folder.path + "/groups"
        try fixture.keepTree(at: path) { Issue.record("\($0)") }
        await fixture.tree?.settle()
        let reader = Reader(path + "/pci0000-00_01.0_00.0")
        let thread = Thread { reader.run() }
        thread.start()
        for turn in 0..<300 {
            let driver = turn % 2 == 0 ? "vfio-pci" : nil
            fixture.keeper.update(
                machine(
                    pciDevice("0000:00:01.0", group: 1, isBridge: true, driver: "pcieport"),
                    pciDevice("0000:01:00.0", parent: "0000:00:01.0", group: 2, driver: driver ?? "nouveau"),
                    pciDevice("0000:01:00.1", parent: "0000:00:01.0", group: 2), kernel: "6.12.0"))
            await fixture.tree?.settle()
        }
        reader.stop()
        #expect(reader.torn.isEmpty, "\(reader.torn.prefix(3))")
        #expect(reader.count > 0)
    }
}

/// Reads a group's folder over and over, as a shell would that has gone into it.
private final class Reader: @unchecked Sendable {
    private let path: String
    private let lock = NSLock()
    private var isOver = false
    private var readings = 0
    private var problems: [String] = []
    private let ended = DispatchSemaphore(value: 0)

    init(_ path: String) { self.path = path }

    var count: Int { lock.withLock { readings } }
    var torn: [String] { lock.withLock { problems } }

    func stop() {
        lock.withLock { isOver = true }
        ended.wait()
    }

    func run() {
        while !lock.withLock({ isOver }) {
            let folder = open(path, O_RDONLY | O_DIRECTORY)
            guard folder >= 0 else {
                lock.withLock { problems.append("the folder is not there: \(errno)") }
                continue
            }
            // Both or none: a folder that was replaced meanwhile may be gone, and never mixes two moments.
            if let state = read("state", folder), let complete = read("complete", folder) {
                let isWhole = (state == "orphaned\n") == (complete == "yes\n")
                lock.withLock {
                    readings += 1
                    if !isWhole { problems.append(state + complete) }
                }
            }
            close(folder)
        }
        ended.signal()
    }

    private func read(_ name: String, _ folder: Int32) -> String? {
        let file = openat(folder, name, O_RDONLY)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let n = Foundation.read(file, &bytes, bytes.count)
        return n < 0 ? nil : String(decoding: bytes.prefix(n), as: UTF8.self)
    }
}
