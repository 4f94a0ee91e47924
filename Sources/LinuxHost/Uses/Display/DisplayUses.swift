// Which devices show what the host says: the display of the firmware, and the one that the console is on.

import EventLoop
import Host
import PCI

/// The displays that the machine itself uses.
struct DisplayUses: UseSource {
    /// The folders of framebuffers, where the console is on one.
    var consoles: [[String]] = []
    /// The folders of devices that the firmware showed its messages on, or shows them on still.
    var bootDisplays: [[String]] = []
    /// The folders of display controllers.
    var displays: [[String]] = []
    /// NVIDIA's cards.
    var nvidia: [[String]] = []
    /// The version of NVIDIA's driver.
    var nvidiaVersion: String?
    /// Why not all is known of what sysfs shows.
    var unread: String?
    /// Why it is not known where the firmware's framebuffer is, which a display controller may have.
    var unreadFramebuffer: String?

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
        let paths = question.subjects.map(\.path)
        uses.bootDisplays = paths.filter { reader.text("boot_vga", in: $0) == "1" }
        uses.displays = paths.filter { reader.classCode(of: $0)?.base == 0x03 }
        uses.nvidia = uses.displays.filter { reader.driver(of: $0) == "nvidia" }
        uses.readFirmwareDisplay(question, reader)
        if !uses.nvidia.isEmpty { uses.nvidiaVersion = ProcReader(below: question.host.root).nvidiaVersion }
        uses.unread = reader.failure
        return uses
    }

    @LoopActor
    private mutating func readFirmwareDisplay(_ question: UseQuestion, _ reader: UseReader) {
        let platform = reader.devices("bus/platform/devices").filter { FirmwareDisplay.isPlatformDevice($0.name) }
        for subject in question.subjects where platform.contains(where: { subject.has($0.path) }) {
            bootDisplays.append(subject.path)
        }
        let proc = ProcReader(below: question.host.root)
        let display = FirmwareDisplay(iomem: proc.text("iomem") ?? "")
        unreadFramebuffer = proc.failure
        if display.isHidden { unreadFramebuffer = "/proc/iomem does not tell where the firmware's framebuffer lies" }
        guard !display.ranges.isEmpty else { return }
        bootDisplays += question.subjects.map(\.path).filter { display.overlaps(reader.bars(of: $0)) }
    }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        var kinds: [DeviceUse.Kind] = []
        let hasConsole = consoles.contains(where: subject.has)
        if hasConsole || bootDisplays.contains(subject.path) { kinds.append(.bootDisplay) }
        if hasConsole, nvidia.contains(subject.path) { kinds.append(.nvidiaConsole(version: nvidiaVersion)) }
        if let unread { kinds.append(.unknown(reason: unread)) }
        if let unreadFramebuffer, displays.contains(subject.path) { kinds.append(.unknown(reason: unreadFramebuffer)) }
        return kinds
    }
}

extension ProcReader {
    /// The version of NVIDIA's driver: "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb ...".
    fileprivate var nvidiaVersion: String? {
        text("driver/nvidia/version")?.split(separator: "\n").first { $0.hasPrefix("NVRM version:") }
            .flatMap { line in
                line.split(whereSeparator: { $0 == " " || $0 == "\t" }).first { word in
                    word.contains(".") && word.allSatisfy { $0.isNumber || $0 == "." }
                }
            }.map { String($0) }
    }
}
