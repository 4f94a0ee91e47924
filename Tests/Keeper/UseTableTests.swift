// The table of what the host uses: looked up seldom, for all at once, and waited for briefly.

import EventLoop
import Grouping
import Host
import Inventory
import Registry
import Takeover
import Testing
import TestSupport

@testable import Keeper

/// A host whose answer a test gives, and which counts the questions.
@LoopActor
private final class AskedHost: ReadOnlyHost {
    nonisolated let name = "a test"
    var answer: [DeviceUse] = []
    /// Whether a question waits until this is false.
    var isSlow = false {
        didSet { news.signal() }
    }
    private(set) var questions: [[DeviceAddress]] = []
    private(set) var atOnce = 0
    private(set) var mostAtOnce = 0
    private let news = Condition()
    private let changes = Condition()
    private var hasChanged = false

    func readInventory() async throws(HostError) -> Inventory { testMachine }
    func awaitChange() async throws(LoopError) {}

    func uses(of devices: [DeviceAddress]) async -> [DeviceUse] {
        questions.append(devices)
        atOnce += 1
        mostAtOnce = max(atOnce, mostAtOnce)
        try? await news.wait { !isSlow }
        atOnce -= 1
        return answer
    }

    func awaitUseChange() async throws(LoopError) {
        try await changes.wait { hasChanged }
        hasChanged = false
    }

    func tell() {
        hasChanged = true
        changes.signal()
    }
}

@Suite("The table of uses", .timeLimit(.minutes(15)))
struct UseTableTests {
    init() throws { try EventLoop.main.runInBackground() }

    private static let card = testMachine.devices[2].address

    @LoopActor private func eventually(_ condition: @LoopActor () -> Bool) async -> Bool {
        let deadline = MonotonicTime.now + .seconds(60)
        while !condition(), .now < deadline { await EventLoop.main.yield() }
        return condition()
    }

    @LoopActor private func uses(_ keeper: Keeper) -> KnownUses.OfGroup? {
        keeper.snapshot.group(of: Self.card).flatMap { keeper.uses.uses(of: $0) }
    }

    @Test("nothing is said before all was looked up, and one lookup serves all who ask for as long as it is fresh")
    @LoopActor func fresh() async throws {
        let host = AskedHost()
        let keeper = try await Keeper(testing: host)
        keeper.useTiming.age = .seconds(3600)
        keeper.useTiming.patience = .seconds(3600)
        #expect(uses(keeper) == nil)
        host.isSlow = true
        let askers = (0..<5).map { _ in EventLoop.main.spawn { await keeper.refreshUses() } }
        #expect(await eventually { host.questions.count == 1 })
        host.isSlow = false
        for asker in askers { await asker.value }
        await keeper.refreshUses()
        #expect(host.questions == [keeper.snapshot.groups.flatMap(\.group.members)])
        #expect(uses(keeper)?.uses == [])
        keeper.stop()
    }

    @Test("who asks waits for a moment, and nobody waits again for a lookup that takes long")
    @LoopActor func patience() async throws {
        let host = AskedHost()
        let keeper = try await Keeper(testing: host)
        keeper.useTiming.patience = .milliseconds(50)
        host.isSlow = true
        await keeper.refreshUses()
        #expect(uses(keeper) == nil)
        keeper.useTiming.patience = .milliseconds(1)
        for _ in 0..<3 { await keeper.refreshUses() }
        #expect(host.questions.count == 1)
        host.isSlow = false
        #expect(await eventually { uses(keeper) != nil })
        keeper.stop()
    }

    @Test("in the pause after a lookup nobody waits, whatever has changed")
    @LoopActor func pause() async throws {
        let host = AskedHost()
        let keeper = try await Keeper(testing: host)
        keeper.useTiming.patience = .seconds(3600)
        keeper.useTiming.pause = .seconds(3600)
        await keeper.refreshUses()
        let following = EventLoop.main.spawn { await keeper.followUses() }
        for _ in 0..<1000 {
            keeper.usesMayHaveChanged()
            #expect(keeper.areUsesReady)
            await keeper.refreshUses()
        }
        #expect(host.questions.count == 1)
        following.cancel()
        keeper.stop()
    }

    @Test("changes while a lookup goes on lead to one more, after a pause, and never to two at once")
    @LoopActor func changes() async throws {
        let host = AskedHost()
        let keeper = try await Keeper(testing: host)
        var told: [GroupID] = []
        keeper.observe { change in
            #expect(change.events.isEmpty)
            told += change.groups
        }
        keeper.useTiming.pause = .milliseconds(50)
        // On a busy machine a lookup may take long by itself.
        keeper.useTiming.share = 0
        host.isSlow = true
        let following = EventLoop.main.spawn { await keeper.followUses() }
        #expect(await eventually { host.questions.count == 1 })
        for _ in 0..<10 {
            host.tell()
            await EventLoop.main.yield()
        }
        host.answer = [DeviceUse(Self.card, .bootDisplay)]
        try await EventLoop.main.sleep(for: .milliseconds(40))
        let began = MonotonicTime.now
        host.isSlow = false
        #expect(await eventually { host.questions.count >= 2 })
        #expect(began.duration(until: .now) >= .milliseconds(50))
        #expect(host.mostAtOnce == 1)
        #expect(await eventually { uses(keeper)?.refuseClaim == true })
        #expect(told == [keeper.snapshot.group(of: Self.card)?.id].compactMap { $0 })
        following.cancel()
        keeper.stop()
    }
}
