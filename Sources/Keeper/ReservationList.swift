// What the early helper and the udev rule keep free: the reservations of the configuration, in a file for programs.

import Config
import Files
import Glibc

/// The file, which the early helper writes at boot and the daemon keeps current.
public struct ReservationList: Sendable {
    private let path: String

    /// - Parameter path: where the udev rule looks: /run/vfiogroupd/reservations.
    public init(path: String) { self.path = path }

    /// Lists these and no others, a line each. Without any the file goes, so that udev starts nothing for a new device.
    public func write(_ reservations: [Reservation]) throws(FileFailure) {
        guard !reservations.isEmpty else {
            guard unlink(path) == 0 || errno == ENOENT else {
                throw FileFailure(path: path, call: "unlink", errno: errno)
            }
            return
        }
        let text = reservations.map { $0.line + "\n" }.joined()
        try replaceFile(path, with: Array(text.utf8), mode: 0o644)
    }
}
