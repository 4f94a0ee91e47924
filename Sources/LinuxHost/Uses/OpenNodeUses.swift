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

/// The numbers of all nodes of a device but those of vfio, which tell of being handed over and not of the host's use.
func nodes(ofDeviceAt path: [String], _ sys: borrowing Directory) -> Set<NodeNumber> {
    var found: Set<NodeNumber> = []
    guard let folder = try? Directory(path.joined(separator: "/"), below: sys) else { return found }
    var budget = 4096
    collectNodes(folder, &found, depth: 0, &budget)
    return found
}

private func collectNodes(
    _ folder: borrowing Directory, _ found: inout Set<NodeNumber>, depth: Int, _ budget: inout Int
) {
    guard depth < 24, budget > 0 else { return }
    budget -= 1
    var folders: [String] = []
    var hasNode = false
    try? folder.forEachEntry { name, type in
        if type == DT_REG, name.elementsEqual("dev".utf8) { hasNode = true }
        guard type == DT_DIR else { return }
        let name = String(decoding: name, as: UTF8.self)
        // Other functions have uses of their own.
        if name == "vfio-dev" || name == "power" || PCIAddress(name) != nil || HostBridgeID(name) != nil { return }
        folders.append(name)
    }
    if hasNode, let text = try? folder.text("dev") {
        let isBlock = (try? folder.linkName("subsystem")) == "block"
        if let number = NodeNumber(text, isBlock: isBlock) { found.insert(number) }
    }
    for name in folders {
        if let below = try? Directory(name, below: folder) { collectNodes(below, &found, depth: depth + 1, &budget) }
    }
}
