// A service on a real socket, with a host that a test can change.

import Config
import EventLoop
import GroupAPI
import Grouping
import Host
import Inventory
import JSON
import Keeper
import Takeover
import Testing
import TestSupport
import Varlink

@testable import Service

/// A service, its server and a client of it.
@LoopActor
final class ServiceFixture {
    let host: ChangingHost
    let keeper: Keeper
    let service: GroupService
    let server: VarlinkServer
    let folder = TemporaryFolder()
    var path: String { folder.path + "/socket" }

    init(
        _ inventory: Inventory, policy: BackendPolicy = .auto, limits: ServerLimits = ServerLimits()
    ) async throws {
        try EventLoop.main.runInBackground()
        host = ChangingHost(inventory)
        keeper = try await Keeper(testing: host, policy: policy)
        // However long a test takes, what it compares is of one answer.
        keeper.useTiming.age = .seconds(3600)
        server = VarlinkServer(.init(vendor: "v", product: "p", version: "1", url: "u"), limits: limits)
        service = GroupService(.init(version: "test", isSimulated: true), of: keeper, Configuration(), on: server)
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
