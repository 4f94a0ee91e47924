// A service on the built-in machine that a test can configure, reload and restart, with the messages that it tells.

import Config
import EventLoop
import GroupAPI
import Grouping
import HostSnapshot
import Inventory
import JSON
import Keeper
import Registry
import SimulatedHost
import Systemd
import Takeover
import TestSupport
import Varlink

@testable import Service

/// The built-in machine, served and followed.
@LoopActor
final class DemoService {
    let machine: SimulatedHost
    let keeper: Keeper
    let service: GroupService
    let server = VarlinkServer(.init(vendor: "v", product: "p", version: "1", url: "u"))
    private let folder = TemporaryFolder()
    private let following: Task<Void, Never>
    private(set) var messages: [JournalMessage] = []

    /// - Parameters:
    ///   - text: the configuration.
    ///   - machine: the host; the demo machine if nil.
    ///   - journal: that of the daemon before, for a restart.
    ///   - record: its record of reservations, for a restart.
    ///   - list: where the udev rule would look for reservations.
    ///   - bootID: tells this boot from others.
    /// - Throws: what kept the service from starting.
    init(
        _ text: String = "", on machine: SimulatedHost? = nil, journal: any ClaimJournal = JournalInMemory(),
        record: String? = nil, list: String? = nil, bootID: String = "boot"
    ) async throws {
        let host = try machine ?? SimulatedHost.demo()
        self.machine = host
        let configuration = try Self.loaded(text).configuration
        let keeper = try await Keeper(testing: host, journal: journal, timing: TakeoverTiming(configuration.timing))
        self.keeper = keeper
        service = GroupService(.init(version: "1", isSimulated: true), of: keeper, configuration, on: server)
        following = EventLoop.main.spawn { try? await keeper.followHost() }
        keeper.onMessage = { [unowned self] in messages.append($0) }
        service.onMessage = { [unowned self] in messages.append($0) }
        keeper.keep(
            configuration.reservations, record: try ReservationRecord(path: record, bootID: bootID),
            list: list.map { ReservationList(path: $0) })
        try server.listen(path: folder.path + "/socket")
    }

    nonisolated static func loaded(_ text: String) throws -> ConfigurationFiles.Loaded {
        // The loop is everybody's: what takes a moment by itself may take a minute beside all other tests.
        let patient = "[Timing]\nBlockedAfterSec=1h\nTakeoverTimeoutSec=1h\nNodeTimeoutSec=1h\n"
        return .init(
            configuration: try Configuration(
                reading: [patient, text].map { ConfigurationText(file: "f", bytes: Array($0.utf8)) }),
            files: ["f"])
    }

    func client() async throws -> VarlinkClient { try await VarlinkClient.connect(to: folder.path + "/socket") }

    func call<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters
    ) async throws -> Method.Reply { try await client().call(method, parameters) }

    func refusal(_ body: () async throws -> Void) async throws -> Claims.Failure? {
        do {
            try await body()
            return nil
        } catch let error as ClientError { return error.failure(as: Claims.Failure.self) }
    }

    /// Waits for something to be so.
    func eventually(_ condition: @LoopActor () -> Bool) async -> Bool {
        let deadline = MonotonicTime.now + .seconds(60)
        while !condition(), .now < deadline { await EventLoop.main.yield() }
        return condition()
    }

    /// What became of a reservation.
    func state(of reservation: String) -> Reservations.State? {
        keeper.reservationOutcomes.first { $0.reservation.name == reservation }?.state
    }

    func isClaimed(_ reservation: String) -> Bool {
        if case .claimed? = state(of: reservation) { true } else { false }
    }

    func stop() async {
        following.cancel()
        keeper.stop()
        service.endMonitors()
        await server.stop(within: .milliseconds(100))
    }
}

/// A selector of a PCI device.
func selector(_ name: String) -> Claims.Selector { .init(device: .init(bus: "pci", name: name)) }
