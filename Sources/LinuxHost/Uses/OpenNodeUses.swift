// Who has nodes of a device open.

import EventLoop
import Files
import Glibc
import Host
import Inventory
import PCI

/// The processes that have a node of the device's own open.
struct OpenNodeUses: UseSource {
    @LoopActor static func read(_ question: UseQuestion) async -> OpenNodeUses { OpenNodeUses() }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        subject.openers.filter { !$0.nodes.isDisjoint(with: subject.nodes) }
            .map { .open(pid: $0.process.pid, command: $0.command) }
    }
}
