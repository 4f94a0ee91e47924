// The address ranges of a function, as the `resource` attribute lists them: six BARs, the ROM, and more that does not
// matter here (the VFs' BARs, bridge windows).

/// A range of addresses that a function answers to.
public struct Resource: Equatable, Sendable {
    /// The first address, as the CPU sees it.
    public var start: UInt64
    /// The last address, inclusive.
    public var last: UInt64
    /// The kernel's IORESOURCE_* flags (include/linux/ioport.h).
    public var flags: UInt64

    public init(start: UInt64, last: UInt64, flags: UInt64) {
        self.start = start
        self.last = last
        self.flags = flags
    }

    /// How many lines of `resource` are BARs and ROM (PCI_ROM_RESOURCE is 6).
    public static let count = 7

    /// A memory range that has been given addresses (IORESOURCE_MEM without IORESOURCE_UNSET).
    public var isAssignedMemory: Bool { flags & 0x200 != 0 && flags & 0x2000_0000 == 0 && last >= start }

    /// Reads the text of a `resource` attribute; nil where it is not of that form.
    public static func list(_ text: some StringProtocol) -> [Resource]? {
        var resources: [Resource] = []
        for line in text.split(separator: "\n").prefix(count) {
            let numbers = line.split(separator: " ").map { word in
                word.hasPrefix("0x") ? unsignedInteger(word.utf8.dropFirst(2), radix: 16) : nil
            }
            guard numbers.count == 3, let start = numbers[0], let last = numbers[1], let flags = numbers[2] else {
                return nil
            }
            resources.append(Resource(start: start, last: last, flags: flags))
        }
        return resources
    }
}
