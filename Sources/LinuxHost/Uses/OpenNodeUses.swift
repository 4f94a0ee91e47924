// Who has nodes of a device open, told by what the nodes are for.

import EventLoop
import Files
import Glibc
import Host
import Inventory
import PCI

/// The processes that have a node of the device's own open.
struct OpenNodeUses: UseSource {
    /// What a node is for. Who draws or computes is told with the node. Sound cards and input devices may go at any
    /// time, and session daemons have all of them open for as long as they run.
    private enum Purpose: Hashable { case graphics, sound, input, other }

    @LoopActor static func read(_ question: UseQuestion) async -> OpenNodeUses { OpenNodeUses() }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        subject.openers.flatMap { opener -> [DeviceUse.Kind] in
            let own = subject.nodes.filter { opener.nodes.contains($0.key) }.values
            let nodes = Dictionary(grouping: own, by: Self.purpose)
            let (pid, command) = (opener.process.pid, opener.command)
            var kinds: [DeviceUse.Kind] = []
            if let names = nodes[.graphics] {
                let text = names.compactMap(\.last).sorted().joined(separator: " and ")
                kinds.append(.graphicsClient(pid: pid, command: command, nodes: text))
            }
            if nodes[.other] != nil { kinds.append(.open(pid: pid, command: command)) }
            if nodes[.sound] != nil { kinds.append(.attended(pid: pid, command: command, what: "a sound card")) }
            if nodes[.input] != nil { kinds.append(.attended(pid: pid, command: command, what: "an input device")) }
            return kinds
        }
    }

    /// By the class in the node's path: `drm/card0`, `sound/card1/pcmC1D3p`, `usb1/.../input/input5/event5`. The
    /// buttons of a sound card are the sound card's.
    private static func purpose(_ path: [String]) -> Purpose {
        for component in path {
            switch component {
            case "drm", "accel": return .graphics
            case "sound": return .sound
            case "input": return .input
            default: continue
            }
        }
        return .other
    }
}

/// The numbers of all nodes of a device but those of vfio, which tell of being handed over and not of the host's use;
/// each with its path below the device's folder.
///
/// - Throws: that a limit or a rule kept some of them from being seen.
func nodes(
    ofDeviceAt path: [String], _ sys: borrowing Directory
) throws(SystemError) -> [NodeNumber: [String]] {
    var search = NodeSearch()
    do throws(SystemError) {
        try search.collect(in: Directory(path.joined(separator: "/"), below: sys), [])
    } catch { if error.leavesUnknown { throw error } }
    return search.found
}

/// A walk through a device's folder. What vanishes meanwhile is gone.
private struct NodeSearch {
    var found: [NodeNumber: [String]] = [:]
    private var budget = 4096

    mutating func collect(in folder: borrowing Directory, _ path: [String]) throws(SystemError) {
        guard path.count < 24, budget > 0 else { return }
        budget -= 1
        var folders: [String] = []
        var hasNode = false
        try folder.forEachEntry { name, type in
            if type == DT_REG, name.elementsEqual("dev".utf8) { hasNode = true }
            guard type == DT_DIR else { return }
            let name = String(decoding: name, as: UTF8.self)
            // Other functions have uses of their own.
            if name == "vfio-dev" || name == "power" || PCIAddress(name) != nil || HostBridgeID(name) != nil { return }
            folders.append(name)
        }
        if hasNode {
            do throws(SystemError) { if let number = try Self.node(in: folder) { found[number] = path } } catch {
                if error.leavesUnknown { throw error }
            }
        }
        for name in folders {
            do throws(SystemError) { try collect(in: Directory(name, below: folder), path + [name]) } catch {
                if error.leavesUnknown { throw error }
            }
        }
    }

    private static func node(in folder: borrowing Directory) throws(SystemError) -> NodeNumber? {
        let text = try folder.text("dev")
        return NodeNumber(text, isBlock: (try? folder.linkName("subsystem")) == "block")
    }
}
