// What the kernel knows of Unix sockets: a file in their place says nothing, because it is there before anybody listens,
// and still there when nobody does any more.

import Foundation

/// The sockets at a path.
public enum UnixSocketTable {
    /// Whether somebody listens there.
    public static func isListening(at path: String) -> Bool { flags(at: path).contains { $0 == listening } }

    /// How many connections the one who listens there has, from when a client connects until both sides are gone.
    public static func connections(at path: String) -> Int { flags(at: path).filter { $0 != listening }.count }

    /// `SO_ACCEPTCON`.
    private static let listening = "00010000"

    /// The flags of each: `/proc/net/unix` names the listening side of connections by its path, and the other by nothing.
    private static func flags(at path: String) -> [Substring] {
        let table = (try? String(contentsOfFile: "/proc/net/unix", encoding: .utf8)) ?? ""
        return table.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ", maxSplits: 7, omittingEmptySubsequences: true)
            return fields.count == 8 && fields[7] == path ? fields[3] : nil
        }
    }
}
