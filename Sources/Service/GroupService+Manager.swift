// io.vfiogroupd.Manager: the daemon itself, and the host as a whole.

import Config
import EventLoop
import GroupAPI
import Grouping
import Host
import HostSnapshot
import Inventory
import Keeper
import PCI
import Registry
import Systemd
import Takeover
import Varlink

extension GroupService {
    func registerManager() {
        server.add(Manager.interface)
        server.answer(Manager.GetStatus.self) { [self] _ in Answer(status) }
        server.handle(Manager.Reload.self) { [self] (call) async throws(ErrorReply) in try reload(call) }
        server.handle(Manager.TakeSnapshot.self) { [self] (call) async throws(ErrorReply) in
            try await takeSnapshot(call)
        }
    }

    private func takeSnapshot(
        _ call: Call<Manager.TakeSnapshot>
    ) async throws(ErrorReply) -> Manager.TakeSnapshot.Reply {
        let inventory = snapshot.inventory
        guard call.parameters.serialNumbers == true else { return .init(snapshot: inventory.snapshot()) }
        // The kernel shows that part of a configuration space to nobody else either.
        guard isAdministrator(call.peer) else {
            throw ErrorReply(
                Manager.Failure.accessDenied(
                    reason: "uid \(call.peer.uid) may not read serial numbers: only root may"))
        }
        let numbers = await keeper.host.serialNumbers(of: inventory.devices.map(\.address))
        return .init(snapshot: inventory.snapshot(serialNumbers: numbers))
    }

    private var status: Manager.GetStatus.Reply {
        let snapshot = snapshot
        let inventory = snapshot.inventory
        return .init(
            version: identity.version, host: keeper.host.name, simulated: identity.isSimulated,
            kernelRelease: inventory.kernel?.text, generation: snapshot.generation,
            isolating: snapshot.groups.contains { $0.group.isolation.isIsolated },
            remarks: snapshot.remarks + takeover.problems + takeover.remarks,
            groupCount: snapshot.groups.count, deviceCount: inventory.devices.count,
            ungroupedCount: snapshot.ungrouped.count,
            hostBridges: inventory.hostBridges.compactMap { bridge in
                snapshot.choices[bridge.id].map {
                    .init(id: bridge.id.description, backend: .init($0.backend), reason: $0.reason)
                }
            },
            disagreements: snapshot.disagreements.map {
                .init(
                    group: $0.group.text, backend: .init($0.backend), kernelGroups: $0.kernelGroups,
                    explanation: $0.explanation)
            },
            warnings: snapshot.warnings.map {
                .init(
                    device: $0.device.map { .init($0) }, offset: $0.offset,
                    message: $0.message)
            }, lastBoot: keeper.lastBoot.map { .init($0) },
            reservations: keeper.reservationOutcomes.map { .init($0) })
    }

    private func reload(_ call: Call<Manager.Reload>) throws(ErrorReply) -> Manager.Reload.Reply {
        guard isAdministrator(call.peer) else {
            let failure = Manager.Failure.accessDenied(reason: "uid \(call.peer.uid) may not reload: only root may")
            let client = Client(call.caller)
            tell(
                JournalMessage(
                    .requestRefused, "refused a reload to \(client.text): only root may",
                    client.fields + [.init(.errorName, failure.name)]))
            throw ErrorReply(failure)
        }
        guard let reload else {
            let note = "this is a simulation without --config=FILE, which reads no configuration"
            return .init(files: [], nextStart: [], notes: [note])
        }
        do throws(ConfigurationError) {
            let outcome = try reload(call.parameters.reserveAgain ?? false)
            return .init(files: outcome.files, nextStart: outcome.nextStart, notes: outcome.notes)
        } catch {
            throw ErrorReply(
                Manager.Failure.badConfiguration(
                    mistakes: error.mistakes.map { .init(file: $0.file, line: $0.line, message: $0.message) }))
        }
    }
}

extension Manager.Reservation {
    init(_ outcome: Reservations.Outcome) {
        self.init(name: outcome.reservation.name, state: .pending)
        switch outcome.reservation.subject {
        case .group(let id): group = id
        case .device(let address): device = .init(.pci(address))
        }
        switch outcome.state {
        case .pending: reason = "its group is being taken, or waited for"
        case .claimed(let claim):
            self.state = .claimed
            self.claim = claim
            reason = outcome.race?.reason
            remedy = outcome.race?.remedy
        case .absent(let reason):
            self.state = .absent
            self.reason = reason
        case .mismatched(let reason):
            self.state = .mismatched
            self.reason = reason
        case .failed(let reason, let remedy):
            self.state = .failed
            self.reason = reason
            self.remedy = remedy
        case .released:
            self.state = .released
            remedy = "vfiogroupctl reload --reserve-again takes it again"
        }
    }
}

extension Manager.Backend {
    init(_ name: BackendName) {
        switch name {
        case .hostBridge: self = .hostBridge
        case .partitionableEndpoint: self = .partitionableEndpoint
        case .kernel: self = .kernel
        case .predicted: self = .predicted
        }
    }
}
