// What sources of uses ask of PCI functions: what they are, who drives them, where their registers lie.

import EventLoop
import PCI

extension UseReader {
    /// The class code of the function at `path`; nil where there is none.
    func classCode(of path: [String]) -> ClassCode? {
        guard let text = text("class", in: path), let value = hexadecimalNumber(text) else { return nil }
        return UInt32(exactly: value).map { ClassCode(rawValue: $0) }
    }

    /// The name of the driver that has the function at `path`.
    func driver(of path: [String]) -> String? { linkName("driver", in: path) }

    /// The memory that the function's six BARs cover. What follows in `resource` is its ROM, and of a bridge the
    /// windows to what is behind it.
    func bars(of path: [String]) -> [ClosedRange<UInt64>] {
        guard let text = text("resource", in: path) else { return [] }
        return text.split(separator: "\n").prefix(6).compactMap { line in
            let words = line.split(separator: " ").map { hexadecimalNumber($0) }
            // IORESOURCE_MEM, include/linux/ioport.h
            guard words.count == 3, let start = words[0], let end = words[1], let flags = words[2], flags & 0x200 != 0,
                start <= end, end != 0
            else { return nil }
            return start...end
        }
    }
}

/// A number with `0x` before it, or without.
func hexadecimalNumber(_ text: some StringProtocol) -> UInt64? {
    unsignedInteger(text.utf8.dropFirst(text.hasPrefix("0x") ? 2 : 0), radix: 16)
}
