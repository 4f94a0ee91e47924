// Taking a configuration over: at the start, and while claims are held.

import Config
import EventLoop
import GroupAPI
import Inventory
import Keeper
import Registry
import Systemd
import Takeover
import Varlink

/// What became of a configuration that was read anew.
public struct Reconfiguration: Equatable, Sendable {
    /// The files, in the order in which they count.
    public var files: [String]
    /// What is different and counts from the next start on, in sentences.
    public var nextStart: [String] = []
    /// What else is to be known, in sentences.
    public var notes: [String] = []

    public init(files: [String], nextStart: [String] = [], notes: [String] = []) {
        self.files = files
        self.nextStart = nextStart
        self.notes = notes
    }
}

extension GroupService {
    /// Takes another configuration over; no claim is changed by it.
    public func reconfigure(_ loaded: ConfigurationFiles.Loaded, reserveAgain: Bool = false) -> Reconfiguration {
        let before = configuration
        configuration = loaded.configuration
        takeover.timing.take(configuration.timing)
        limitServer()
        keeper.keep(configuration.reservations, again: reserveAgain)
        var outcome = Reconfiguration(files: loaded.files)
        func compare<Value: Equatable>(_ field: KeyPath<Configuration, Value>, _ name: String) {
            guard configuration[keyPath: field] != configurationOfStart[keyPath: field] else { return }
            outcome.nextStart.append("\(name) takes effect at the next start")
        }
        compare(\.socket, "Socket=")
        compare(\.backend, "Backend=")
        compare(\.hostBridges, "[HostBridge]")
        compare(\.stateDirectory, "StateDirectory=")
        for old in before.reservations where !configuration.reservations.contains(where: { $0.name == old.name }) {
            guard let claim = takeover.views.first(where: { $0.claim.name == old.name })?.claim.id else { continue }
            outcome.notes.append(
                "[Reservation \(old.name)] is gone, and \(claim) stays until it is released: vfiogroupctl release \(old.name)"
            )
        }
        return outcome
    }

    /// Has the server keep to the limits and the access of the configuration.
    func limitServer() {
        server.limits.connections = configuration.limits.connections
        server.limits.connectionsPerUser = configuration.limits.connectionsPerUser
        server.limits.rootReserve = Limits.rootReserve
        guardReading()
    }
}

extension TakeoverTiming {
    /// What an operator says, and the usual for the rest.
    public init(_ timing: Timing) {
        self.init()
        take(timing)
    }

    /// Takes over what an operator can set.
    mutating func take(_ timing: Timing) {
        blockedAfter = timing.blockedAfter
        patience = timing.takeoverTimeout
        nodePatience = timing.nodeTimeout
        consumerTimeout = timing.consumerTimeout.map { .after($0) } ?? .never
        firstRetry = timing.firstRetry
        lastRetry = timing.lastRetry
    }
}
