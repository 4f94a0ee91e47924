// A service on a real socket, with a host that a test can change.

import EventLoop
import GroupAPI
import Grouping
import Host
import Inventory
import JSON
import Takeover
import Testing
import TestSupport
import Varlink

@testable import Service

/// A host whose devices a test decides.
@LoopActor
final class ChangingHost: ReadOnlyHost {
    nonisolated let name = "a test"
    private var inventory: Inventory
    private let news = Condition()
    private var hasChanged = false

    init(_ inventory: Inventory) { self.inventory = inventory }

    func change(to inventory: Inventory) {
        self.inventory = inventory
        hasChanged = true
        news.signal()
    }

    func readInventory() async throws(HostError) -> Inventory { inventory }

    func awaitChange() async throws(LoopError) {
        try await news.wait { hasChanged }
        hasChanged = false
    }
}

/// A service, its server and a client of it.
@LoopActor
final class ServiceFixture {
    let host: ChangingHost
    let service: GroupService
    let server: VarlinkServer
    let folder = TemporaryFolder()
    var path: String { folder.path + "/socket" }

    init(
        _ inventory: Inventory, policy: BackendPolicy = .auto, limits: ServerLimits = ServerLimits()
    ) async throws {
        try EventLoop.main.runInBackground()
        host = ChangingHost(inventory)
        service = try await GroupService(.init(version: "test", isSimulated: true), host: host, policy: policy)
        server = VarlinkServer(.init(vendor: "v", product: "p", version: "1", url: "u"), limits: limits)
        service.register(on: server)
        try server.listen(path: folder.path + "/socket")
    }

    func client() async throws -> VarlinkClient { try await VarlinkClient.connect(to: path) }

    func call<Method: VarlinkMethod>(_ method: Method.Type, _ parameters: Method.Parameters) async throws
        -> Method.Reply
    {
        try await client().call(method, parameters)
    }

    /// The error that a call is answered with.
    func error<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters
    ) async throws -> (name: String, parameters: JSONObject) {
        do {
            _ = try await call(method, parameters)
        } catch let error as ClientError {
            if case .reply(let name, let parameters) = error { return (name, parameters) }
            throw error
        }
        Issue.record("the call succeeded")
        return ("", [:])
    }

    func stop() async { await server.stop(within: .milliseconds(100)) }
}

let testMachine = machine(
    pciDevice("0000:00:00.0"), pciDevice("0000:00:01.0", group: 1, isBridge: true, driver: "pcieport"),
    pciDevice("0000:01:00.0", parent: "0000:00:01.0", group: 2, driver: "nouveau"),
    pciDevice("0000:01:00.1", parent: "0000:00:01.0", group: 2, driver: "snd_hda_intel"), kernel: "6.12.0")

extension TakeoverTiming {
    /// The loop is everybody's: a call that takes a moment by itself may take a minute beside all other tests.
    static var unhurried: Self {
        var timing = Self()
        timing.blockedAfter = .seconds(3600)
        timing.patience = .seconds(3600)
        timing.nodePatience = .seconds(3600)
        return timing
    }
}
