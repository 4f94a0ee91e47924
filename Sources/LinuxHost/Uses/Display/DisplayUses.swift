// Which devices show what the host says: the display of the firmware, and the one that the console is on.

import EventLoop
import Host

/// The displays that the machine itself uses.
struct DisplayUses: UseSource {
    /// The folders of framebuffers, where the console is on one.
    var consoles: [[String]] = []
    /// The folders of devices that the firmware showed its messages on.
    var bootDisplays: [[String]] = []
    /// Why not all is known.
    var unread: String?

    @LoopActor static func read(_ question: UseQuestion) async -> DisplayUses {
        let reader = UseReader(below: question.host.root)
        var uses = DisplayUses()
        let isOnFramebuffer = reader.devices("class/vtconsole").contains { console in
            // "(M) frame buffer device"
            reader.text("bind", in: console.path) == "1"
                && reader.text("name", in: console.path)?.hasSuffix("frame buffer device") == true
        }
        if isOnFramebuffer {
            uses.consoles = reader.devices("class/graphics").filter { $0.name.hasPrefix("fb") && $0.name != "fbcon" }
                .map(\.path)
        }
        uses.bootDisplays = question.subjects.map(\.path).filter { reader.text("boot_vga", in: $0) == "1" }
        uses.unread = reader.failure
        return uses
    }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        let isShown = bootDisplays.contains(subject.path) || consoles.contains(where: subject.has)
        return (isShown ? [.bootDisplay] : []) + (unread.map { [.unknown(reason: $0)] } ?? [])
    }
}
