// What is kept for an administrator: for each reservation of the configuration a claim, made at the start or when its
// device comes. One that was released is left alone until the next boot, or until somebody reloads with that wish.

import Config
import EventLoop
import Files
import Glibc
import Grouping
import Host
import Inventory
import PCI
import Registry
import Systemd
import Takeover

/// The reservations and what became of each.
@LoopActor
public final class Reservations {
    /// What became of a reservation.
    public enum State: Equatable, Sendable {
        /// It is being taken, or waits for a group that somebody else has.
        case pending
        case claimed(claim: String)
        /// Its device or group is not there.
        case absent(reason: String)
        /// Another device sits there; both identities, in words.
        case mismatched(reason: String)
        case failed(reason: String, remedy: String?)
        /// Somebody released it in this boot.
        case released
    }

    /// A host driver that had a device of it first, in words.
    public struct LostRace: Equatable, Sendable {
        /// Which driver had which device.
        public var reason: String
        /// What keeps the driver away.
        public var remedy: String
    }

    /// A reservation and what became of it.
    public struct Outcome: Sendable {
        /// What the configuration says.
        public var reservation: Reservation
        /// What became of it.
        public var state: State
        /// Who had a device of it first; nil when nobody had.
        public var race: LostRace?
    }

    private final class Entry {
        let reservation: Reservation
        var state = State.pending
        var race: LostRace?
        /// All devices of its claim have left the host.
        var hasLeft = false
        var task: Task<Void, Never>?

        init(_ reservation: Reservation) { self.reservation = reservation }
    }

    private unowned let takeover: Takeover
    private let host: any Host
    private let record: ReservationRecord
    private let list: ReservationList?
    private let tell: @LoopActor (JournalMessage) -> Void
    private var entries: [Entry] = []

    init(
        _ takeover: Takeover, of host: any Host, record: ReservationRecord, list: ReservationList?,
        tell: @escaping @LoopActor (JournalMessage) -> Void
    ) {
        self.takeover = takeover
        self.host = host
        self.record = record
        self.list = list
        self.tell = tell
    }

    isolated deinit { for entry in entries { entry.task?.cancel() } }

    /// What became of each, in the order of the configuration.
    var outcomes: [Outcome] {
        entries.map { Outcome(reservation: $0.reservation, state: shown($0), race: $0.race) }
    }

    /// How many do not have their group, and are meant to.
    var missing: Int {
        entries.count { entry in
            switch shown(entry) {
            case .claimed, .released: false
            case .pending, .absent, .mismatched, .failed: true
            }
        }
    }

    /// Takes what is to be kept from now on. What was kept before and is not any more stays claimed.
    ///
    /// - Parameters:
    ///   - reservations: what the configuration says.
    ///   - again: whether those that were released in this boot are taken again.
    func keep(_ reservations: [Reservation], again: Bool = false) {
        let before = entries
        entries = reservations.map { reservation in
            before.first { $0.reservation == reservation } ?? Entry(reservation)
        }
        for entry in before where !entries.contains(where: { $0 === entry }) { entry.task?.cancel() }
        for entry in entries where entry.task == nil {
            if again { forget(entry.reservation.name) }
            consider(entry)
        }
        renewList()
    }

    /// Ends what is going on; the next daemon begins anew.
    func stop() {
        for entry in entries { entry.task?.cancel() }
        entries = []
    }

    /// The host, or who has which group, may have changed.
    func lookAgain() {
        for entry in entries where entry.task == nil {
            switch entry.state {
            case .claimed(let claim):
                guard let view = takeover.views.first(where: { $0.claim.id == claim }) else {
                    set(entry, .released)
                    break
                }
                if hasLeft(view) {
                    entry.hasLeft = true
                } else if entry.hasLeft {
                    giveUp(entry, claim)
                }
            case .absent, .mismatched: consider(entry)
            case .failed:
                // Tried again once it has been away: what stands in its way now is for somebody to remove, and reload.
                if group(of: entry.reservation) == nil { consider(entry) }
            case .pending, .released: break
            }
        }
    }

    // MARK: One reservation

    private func consider(_ entry: Entry) {
        let reservation = entry.reservation
        if let view = takeover.views.first(where: { isClaim($0, of: reservation) }) { return found(entry, view) }
        if record.names.contains(reservation.name) { return set(entry, .released) }
        guard let record = group(of: reservation) else {
            return set(entry, .absent(reason: reasonAbsent(reservation)))
        }
        if let reason = mismatch(reservation, record) { return set(entry, .mismatched(reason: reason)) }
        set(entry, .pending)
        entry.task = EventLoop.main.spawn { [weak self] in await self?.take(entry) }
    }

    /// Whether all devices of a claim have left the host, and nobody has anything of them.
    private func hasLeft(_ view: ClaimView) -> Bool {
        let inventory = takeover.snapshot.inventory
        let devices = view.claim.groups.flatMap(\.members).filter { $0.vfioDriver != nil }
        return view.claim.goal == .hold && view.claim.access == .hold && !devices.isEmpty
            && devices.allSatisfy { inventory[$0.address] == nil }
    }

    /// A device that came back is as new, and its claim knows it from before: it is claimed anew.
    private func giveUp(_ entry: Entry, _ claim: String) {
        entry.hasLeft = false
        forget(entry.reservation.name)
        set(entry, .absent(reason: "its device left the host and came back, and is claimed anew"))
        takeover.giveUp(claim, cause: "the reserved device left the host and came back")
    }

    /// What a reservation is for those who ask: its claim may be there without its device.
    private func shown(_ entry: Entry) -> State {
        let state = entry.state
        if entry.hasLeft {
            return .absent(reason: "\(reasonAbsent(entry.reservation)): it left, and is taken again when it comes back")
        }
        guard case .claimed(let claim) = state, let view = takeover.views.first(where: { $0.claim.id == claim })
        else { return state }
        for group in view.groups {
            for member in group.record.members {
                guard let wanted = member.vfioDriver, let driver = group.drivers[member.address], driver != wanted
                else { continue }
                return .failed(
                    reason: "\(member.address) is bound to \(driver): somebody bound it, or it left and came back",
                    remedy: "vfiogroupctl release \(claim), and then vfiogroupctl reload --reserve-again, takes it "
                        + "again")
            }
        }
        return state
    }

    private func take(_ entry: Entry) async {
        let reservation = entry.reservation
        defer { entry.task = nil }
        var request = ClaimRequest(
            [reservation.selector], name: reservation.name, lifetime: .manual,
            force: reservation.force.sorted().map { .pci($0) },
            // Until whoever has it lets go.
            wait: .seconds(1 << 30))
        request.isReservation = true
        do throws(TakeoverError) {
            found(entry, try await takeover.claim(request, for: owner).claim)
        } catch {
            guard !Task.isCancelled else { return }
            switch error {
            case .stopped: break
            case .noSuchGroup, .noSuchDevice: set(entry, .absent(reason: reasonAbsent(reservation)))
            default: set(entry, .failed(reason: error.sentence, remedy: error.remedy))
            }
        }
    }

    /// The administrator's claims end with nobody: process 1 lasts as long as the boot.
    private var owner: Owner {
        Owner(
            uid: UInt32(geteuid()), gid: UInt32(getegid()),
            process: host.process(1) ?? ProcessIdentity(pid: 1, startTime: 0), command: "reservation")
    }

    private func isClaim(_ view: ClaimView, of reservation: Reservation) -> Bool {
        // One on its way back is over for whoever released it, and an obstacle for whoever did not.
        guard view.claim.name == reservation.name, view.claim.owner.uid == geteuid(), view.claim.goal != .restore
        else { return false }
        return switch reservation.subject {
        case .group(let id): view.claim.groups.contains { $0.id.text == id }
        case .device(let address):
            view.claim.groups.contains { $0.members.contains { $0.address == .pci(address) } }
        }
    }

    private func found(_ entry: Entry, _ view: ClaimView) {
        remember(entry.reservation.name)
        entry.race = LostRace(view)
        set(entry, .claimed(claim: view.claim.id))
    }

    private func group(of reservation: Reservation) -> GroupRecord? {
        let snapshot = takeover.snapshot
        return switch reservation.subject {
        case .group(let id): GroupID(id).flatMap { snapshot.group($0) }
        case .device(let address): snapshot.group(of: .pci(address))
        }
    }

    private func reasonAbsent(_ reservation: Reservation) -> String {
        switch reservation.subject {
        case .group(let id): return "there is no group \(id)"
        case .device(let address):
            let snapshot = takeover.snapshot
            guard snapshot.inventory[.pci(address)] != nil else { return "there is no device \(address)" }
            return "\(address) is in no group: \(snapshot.reasonUngrouped(.pci(address)) ?? "nobody knows why")"
        }
    }

    /// Why a group is not the one that is meant, with what was expected and what is there; nil when it is.
    private func mismatch(_ reservation: Reservation, _ record: GroupRecord) -> String? {
        guard let expected = reservation.identification else { return nil }
        let candidates = record.members.map(\.device).filter { device in
            switch reservation.subject {
            case .device(let address): device.address == .pci(address)
            case .group: !device.isBridge
            }
        }
        let isThere = candidates.contains { device in
            device.pci?.identification.vendorID == expected.vendorID
                && device.pci?.identification.deviceID == expected.deviceID
        }
        guard !isThere else { return nil }
        let there = candidates.map { device in
            let ids = device.pci?.identification
            guard let vendor = ids?.vendorID, let id = ids?.deviceID else { return "\(device.address) (unknown)" }
            return "\(device.address) (\(Reservation.Identification(vendorID: vendor, deviceID: id)))"
        }
        return "it is for \(expected), and there is \(there.isEmpty ? "nothing" : there.joined(separator: ", "))"
    }

    private func set(_ entry: Entry, _ state: State) {
        guard entry.state != state else { return }
        entry.state = state
        if let message = message(entry) { tell(message) }
        if state == .released { renewList() }
    }

    private func message(_ entry: Entry) -> JournalMessage? {
        let name = entry.reservation.name
        var fields = [JournalMessage.Field(.reservation, name)]
        switch entry.reservation.subject {
        case .group(let id): fields.append(.init(.group, id))
        case .device(let address): fields.append(.init(.device, address.description))
        }
        switch entry.state {
        case .pending: return nil
        case .released:
            return JournalMessage(
                .reservationReleased,
                "reservation \(name) was released in this boot, and is left alone until the next or until "
                    + "vfiogroupctl reload --reserve-again",
                fields)
        case .claimed(let claim):
            fields.append(.init(.claim, claim))
            if let race = entry.race {
                tell(JournalMessage(.raceLost, "reservation \(name): \(race.reason); \(race.remedy)", fields))
            }
            return JournalMessage(.reservationTaken, "reservation \(name) has its group, as claim \(claim)", fields)
        case .absent(let reason), .mismatched(let reason):
            return JournalMessage(.reservationNotTaken, "reservation \(name) is not taken: \(reason)", fields)
        case .failed(let reason, let remedy):
            let remedy = remedy.map { "; \($0)" } ?? ""
            return JournalMessage(.reservationNotTaken, "reservation \(name) is not taken: \(reason)\(remedy)", fields)
        }
    }

    // MARK: The record, and the list

    private func remember(_ name: String) {
        guard !record.names.contains(name) else { return }
        write(record.names.union([name]))
    }

    private func forget(_ name: String) {
        guard record.names.contains(name) else { return }
        write(record.names.subtracting([name]))
    }

    /// Has new devices kept free for what is reserved, and those of what was released left to their drivers.
    private func renewList() {
        do throws(FileFailure) { try list?.write(entries.filter { $0.state != .released }.map(\.reservation)) } catch {
            tell(
                JournalMessage(
                    .reservationNotTaken,
                    "a reserved device that appears later may get its host driver first: \(error)"))
        }
    }

    private func write(_ names: Set<String>) {
        do throws(FileFailure) { try record.write(names) } catch {
            tell(
                JournalMessage(
                    .reservationNotTaken,
                    "which reservations were taken cannot be put on record, so that one that is released may be taken "
                        + "again by the next daemon: \(error)"))
        }
    }
}

extension Reservation {
    fileprivate var selector: GroupSelector {
        switch subject {
        case .group(let id): .group(id)
        case .device(let address): .device(.pci(address))
        }
    }
}

extension Reservations.LostRace {
    /// The drivers that a claim found on its endpoints; nil when it found none.
    fileprivate init?(_ view: ClaimView) {
        let winners = view.claim.groups.flatMap(\.members).compactMap { member -> (String, String)? in
            guard !member.isBridge, let driver = member.before.driver.name, driver != member.vfioDriver else {
                return nil
            }
            return (driver, member.address.description)
        }
        guard let first = winners.first else { return nil }
        reason = winners.map { "the host driver \($0.0) had \($0.1) first" }.joined(separator: ", ")
        remedy =
            "to keep \(first.0) away from boot on, have the early helper of vfiogroupd in the initramfs "
            + "(update-initramfs -u); a driver that is built into the kernel is there before anything else, and only a "
            + "kernel that has it as a module helps"
    }
}
