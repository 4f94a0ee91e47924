// What the kernel knows of Unix sockets: a file in their place says nothing, because it is there before anybody listens,
// and still there when nobody does any more.

import Files

/// The sockets at a path.
public enum UnixSocketTable {
    /// Whether somebody listens there, as far as one look can tell: while others open and close sockets, the kernel may
    /// leave out some.
    public static func isListening(at path: String) -> Bool {
        // Foundation takes a page of it for all, since a file of /proc comes in pieces; and anybody may give a socket a name
        // that is no text.
        let table = String(decoding: (try? contents(of: "/proc/net/unix")) ?? [], as: UTF8.self)
        // The flag is SO_ACCEPTCON, which connections do not have.
        return table.split(separator: "\n").contains { $0.hasSuffix(" \(path)") && $0.contains(" 00010000 ") }
    }
}
