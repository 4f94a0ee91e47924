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
