// A host whose devices a test decides, and what keeps track of it.

import EventLoop
import Grouping
import Host
import Inventory
import Keeper
import Registry
import Takeover

/// A host that is what a test says.
@LoopActor
public final class ChangingHost: ReadOnlyHost {
    public nonisolated let name = "a test"
    private var inventory: Inventory
    private let news = Condition()
    private var hasChanged = false

    public init(_ inventory: Inventory) { self.inventory = inventory }

    /// Becomes another one.
    public func change(to inventory: Inventory) {
        self.inventory = inventory
        hasChanged = true
        news.signal()
    }

    public func readInventory() async throws(HostError) -> Inventory { inventory }

    public func awaitChange() async throws(LoopError) {
        try await news.wait { hasChanged }
        hasChanged = false
    }
}

extension Keeper {
    /// Keeps track of a host in a test.
    public convenience init(
        testing host: any Host, policy: BackendPolicy = .auto, journal: any ClaimJournal = JournalInMemory(),
        timing: TakeoverTiming = .unhurried
    ) async throws {
        try self.init(
            of: host, Registry(try await host.readInventory(), policy: policy), journal: journal, timing: timing,
            onReport: { _ in })
    }
}

extension TakeoverTiming {
    /// The loop is everybody's: a call that takes a moment by itself may take a minute beside all other tests.
    public static var unhurried: Self {
        var timing = Self()
        timing.blockedAfter = .seconds(3600)
        timing.patience = .seconds(3600)
        timing.nodePatience = .seconds(3600)
        return timing
    }
}

/// A root port in a group of its own, and behind it a card with two functions in one.
public let testMachine = machine(
    pciDevice("0000:00:00.0"), pciDevice("0000:00:01.0", group: 1, isBridge: true, driver: "pcieport"),
    pciDevice("0000:01:00.0", parent: "0000:00:01.0", group: 2, driver: "nouveau"),
    pciDevice("0000:01:00.1", parent: "0000:00:01.0", group: 2, driver: "snd_hda_intel"), kernel: "6.12.0")
