// The kernel's release, because what counts as taken over changed with 5.19.

import PCI

/// Major and minor number of a kernel release such as `6.12.95+deb12-amd64`.
public struct KernelRelease: Equatable, Sendable {
    /// The release as the kernel prints it.
    public var text: String
    public var major: Int
    public var minor: Int
    /// Whether the kernel counts DMA ownership of groups (`driver_managed_dma`, since 5.19) instead of looking at
    /// driver names (drivers/vfio/vfio.c before). The number says so unless the kernel itself does: distributions have
    /// brought it to older ones.
    public var countsOwnership: Bool

    /// Reads the first word of the text; nil where it does not begin with MAJOR.MINOR.
    public init?(_ text: some StringProtocol) {
        guard let word = text.split(whereSeparator: \.isWhitespace).first else { return nil }
        let parts = word.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2, let major = unsignedInteger(parts[0].utf8, radix: 10),
            let minor = unsignedInteger(parts[1].utf8.prefix { $0 >= 0x30 && $0 <= 0x39 }, radix: 10),
            major < 1 << 16, minor < 1 << 16
        else { return nil }
        self.text = String(word)
        self.major = Int(major)
        self.minor = Int(minor)
        countsOwnership = (self.major, self.minor) >= (5, 19)
    }

}
