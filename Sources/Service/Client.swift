// Who calls: what the kernel vouches for, and what it says of the process now.

import EventLoop
import Glibc
import Host
import Inventory
import Systemd
import Takeover
import Varlink

/// A client at the moment of a call.
struct Client: Sendable {
    var peer: Peer
    /// Its supplementary groups.
    var groups: [UInt32]
    /// The process that made the connection; nil when it has ended.
    var process: ProcessIdentity?
    /// What the process is called.
    var command: String?
    /// The system unit that the process runs in.
    var unit: SystemUnit?

    /// Who it is, in words.
    var text: String {
        "uid \(peer.uid), process \(peer.pid)" + (command.map { " (\($0))" } ?? "")
            + (unit.map { ", \($0.name)" } ?? "")
    }

    /// Who it is, for the journal.
    var fields: [JournalMessage.Field] {
        [.init(.clientUID, "\(peer.uid)"), .init(.clientPID, "\(peer.pid)")]
            + (unit.map { [.init(.clientUnit, $0.name)] } ?? [])
    }
}

extension Client {
    /// Reads what is to be known of a caller's process. A pidfd is held meanwhile, so that no other process is looked at
    /// that has its number by now.
    @LoopActor
    init(_ caller: Caller) {
        peer = caller.peer
        groups = caller.groups
        guard let process = caller.openProcess(), let identity = ProcessIdentity(of: process) else { return }
        let read = process.reading { _ in (command: identity.command, groups: identity.controlGroups) }
        guard let read else { return }
        self.process = identity
        command = read.command
        unit = read.groups.flatMap { SystemUnit(cgroup: $0) }
    }
}
