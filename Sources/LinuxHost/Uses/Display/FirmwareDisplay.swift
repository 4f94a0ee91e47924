// The framebuffer that the firmware left, which shows the console until a graphics driver takes the card over. boot_vga
// says nothing of a card that is no VGA device. The platform device of the framebuffer shows no resources in sysfs, so
// they are read from /proc/iomem; since Linux 6.9 its folder lies below the card's (drivers/firmware/sysfb.c).

/// Where the firmware's framebuffer lies in memory.
struct FirmwareDisplay: Equatable, Sendable {
    /// The memory that it takes.
    var ranges: [ClosedRange<UInt64>] = []
    /// There is one, and the kernel does not tell this reader where.
    var isHidden = false

    /// Its name as a resource (drivers/firmware/sysfb_simplefb.c), and those of the drivers that show it.
    private static let names: Set<Substring> = ["BOOTFB", "efifb", "vesafb", "simplefb", "simpledrm"]

    /// The platform devices that stand for it: `simple-framebuffer.0`.
    static func isPlatformDevice(_ name: String) -> Bool {
        ["simple-framebuffer.", "efi-framebuffer.", "vesa-framebuffer."].contains { name.hasPrefix($0) }
    }

    /// What /proc/iomem says: lines `  START-END : NAME`. Whoever may not see addresses is shown zeros.
    init(iomem text: String = "") {
        for line in text.split(separator: "\n") {
            guard let colon = line.runs(of: " : ").first, Self.names.contains(line[colon.upperBound...]) else {
                continue
            }
            let ends = line[..<colon.lowerBound].drop { $0 == " " }.split(separator: "-").map { hexadecimalNumber($0) }
            guard ends.count == 2, let start = ends[0], let end = ends[1], start <= end else { continue }
            if end == 0 { isHidden = true } else { ranges.append(start...end) }
        }
    }

    /// Whether it lies in one of these.
    func overlaps(_ bars: [ClosedRange<UInt64>]) -> Bool {
        ranges.contains { range in bars.contains { $0.overlaps(range) } }
    }
}
