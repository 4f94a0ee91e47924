// What is kept for an administrator, and how that stands.

import Config
import EventLoop
import Host
import Takeover

extension Keeper {
    /// Begins to keep what is reserved. To be called once.
    ///
    /// - Parameters:
    ///   - reserved: what the configuration says.
    ///   - record: which reservations were taken in this boot.
    ///   - list: kept current for the udev rule; nil where there is none.
    public func keep(_ reserved: [Reservation], record: ReservationRecord, list: ReservationList? = nil) {
        let reservations = Reservations(takeover, of: host, record: record, list: list) { [weak self] message in
            self?.tell(message)
        }
        self.reservations = reservations
        reservations.keep(reserved)
    }

    /// Keeps these from now on, where any are kept. What was kept before and is not any more stays claimed.
    ///
    /// - Parameters:
    ///   - reserved: what the configuration says now.
    ///   - again: whether those that were released in this boot are taken again.
    public func keep(_ reserved: [Reservation], again: Bool) { reservations?.keep(reserved, again: again) }

    /// What became of each reservation, in the order of the configuration.
    public var reservationOutcomes: [Reservations.Outcome] { reservations?.outcomes ?? [] }

    /// How many reservations do not have their group, and are meant to.
    public var reservationsMissing: Int { reservations?.missing ?? 0 }
}
