// Where the daemon's socket lies, known to the daemon and to its clients alike.

import Glibc

/// The places of the socket.
public enum SocketPath {
    /// The name of the socket in its folder.
    public static let fileName = "io.vfiogroupd"

    /// The daemon of the system.
    public static let system = "/run/vfiogroupd/io.vfiogroupd"

    /// The folder of a daemon that a user started for themselves, a simulation mostly:
    /// `$XDG_RUNTIME_DIR/vfiogroupd`, or without that a folder in the temporary directory that belongs to the user alone.
    public static func privateFolder(environment: (String) -> String? = environmentVariable) -> String {
        if let runtime = environment("XDG_RUNTIME_DIR"), runtime.hasPrefix("/") { return runtime + "/vfiogroupd" }
        let temporary = environment("TMPDIR").flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "/tmp"
        return (temporary.hasSuffix("/") ? String(temporary.dropLast()) : temporary) + "/vfiogroupd-\(geteuid())"
    }

    /// The socket in that folder.
    public static var ofUser: String { privateFolder() + "/" + fileName }

    /// Where a client looks, in this order: a daemon that the user started comes before the system's, because they
    /// started it to be asked. A folder in the temporary directory that somebody else made is passed over.
    public static var candidates: [String] { (isOwn(privateFolder()) ? [ofUser] : []) + [system] }

    /// Whether a folder belongs to this user and nobody else can write to it: in /tmp anyone may have made it.
    public static func isOwn(_ folder: String) -> Bool {
        var status = stat()
        return lstat(folder, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR && status.st_uid == geteuid()
            && status.st_mode & 0o022 == 0
    }

    /// A variable of the environment.
    public static func environmentVariable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}
