// Which reservations were taken in this boot: who releases one does not want it back with the next start of the daemon.

import EventLoop
import Files
import Glibc

/// A file with the boot's identity in its first line and a name in every other.
@LoopActor
public final class ReservationRecord {
    private let path: String?
    private let bootID: String
    private(set) var names: Set<String> = []

    private static let largest = 1 << 20

    /// Reads what is there; a file of another boot counts for nothing.
    ///
    /// - Parameters:
    ///   - path: in a folder that goes with the boot; nil keeps the record in memory.
    ///   - bootID: tells this boot from others.
    /// - Throws: why the file cannot be read.
    public init(path: String?, bootID: String) throws(FileFailure) {
        self.path = path
        self.bootID = bootID
        guard let path, let bytes = try readFile(path, limit: Self.largest) else { return }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
        if lines.first == bootID { names = Set(lines.dropFirst()) }
    }

    /// Puts these on record.
    func write(_ names: Set<String>) throws(FileFailure) {
        self.names = names
        guard let path else { return }
        let text = ([bootID] + names.sorted()).map { $0 + "\n" }.joined()
        try replaceFile(path, with: Array(text.utf8), mode: 0o600)
    }
}
