// Who has cards of NVIDIA's open. To take one from its driver while somebody has it open never returns, not even when
// they let go of it afterwards: the driver looks for the card that they let go of where it is no more (nv-pci.c;
// NVIDIA/open-gpu-kernel-modules#1119 with 595 and 610.57.04, #1374 with 595.99.02; kubevirt/kubevirt#8549). So who has
// no more than the control node open is told, too: they may come to open a card.

import EventLoop
import Glibc
import Host
import Inventory
import PCI

/// NVIDIA's cards and the nodes that they have beside those of DRM.
struct NVIDIAUses: UseSource {
    /// The minors of cards, by their folders.
    var cards: [[String]: NVIDIAMinors.Minor] = [:]

    /// NV_MAJOR_DEVICE_NUMBER, nv-linux.h
    private static let major: UInt32 = 195
    private static let control: UInt32 = 255
    /// Minors from here on are no cards: /dev/nvidia-modeset, /dev/nvidiactl.
    private static let modeset: UInt32 = 254

    @LoopActor static func read(_ question: UseQuestion) async -> NVIDIAUses {
        let reader = UseReader(below: question.host.root)
        var uses = NVIDIAUses()
        for subject in question.subjects {
            guard let address = subject.device.pci, reader.driver(of: subject.path) == "nvidia" else { continue }
            uses.cards[subject.path] = await question.host.nvidiaMinors.minor(
                of: address, at: subject.path, below: question.host.joined(""))
        }
        return uses
    }

    /// All of the driver's nodes: who has another card open is no user of this one.
    func nodes(of subject: UseSubject) -> Set<NodeNumber> {
        guard cards[subject.path] != nil else { return [] }
        return Set((0...Self.control).map { NodeNumber(isBlock: false, major: Self.major, minor: $0) })
    }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        guard let card = cards[subject.path] else { return [] }
        var kinds: [DeviceUse.Kind] = []
        if case .unknown(let reason) = card { kinds.append(.unknown(reason: reason)) }
        for opener in subject.openers {
            let minors = opener.nodes.filter { !$0.isBlock && $0.major == Self.major }.map(\.minor)
            let (pid, command) = (opener.process.pid, opener.command)
            if case .known(let minor) = card, minors.contains(minor) {
                kinds.append(.graphicsClient(pid: pid, command: command, nodes: "nvidia\(minor)"))
            } else if !minors.isEmpty, minors.allSatisfy({ $0 >= Self.modeset }) {
                kinds.append(.nvidiaControl(pid: pid, command: command))
            }
        }
        return kinds
    }
}
