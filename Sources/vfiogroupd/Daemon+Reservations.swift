// What is kept for an administrator, and where it is on record.

import Config
import Files
import Glibc
import GroupAPI
import Host
import Inventory
import Keeper
import Systemd

extension Daemon {
    /// Keeps what is reserved. A simulation has no boots, and its claims end with it.
    func keepReservations(_ keeper: Keeper, _ configuration: Configuration) {
        let folder = geteuid() == 0 ? "/run/vfiogroupd" : SocketPath.privateFolder()
        let isHost = options.simulate == nil
        do throws(FileFailure) {
            let record = try ReservationRecord(
                path: isHost ? folder + "/reservations.taken" : nil, bootID: keeper.host.bootID)
            // The udev rule, which reads the list, is root's and looks in one place.
            let list = isHost && geteuid() == 0 ? ReservationList(path: folder + "/reservations") : nil
            keeper.keep(configuration.reservations, record: record, list: list)
        } catch { log.error("nothing is reserved, because what was released in this boot is not known: \(error)") }
    }
}
