// Addresses of IP, and networks of them, as values.

import PCI

/// An address of IPv4 (4 bytes) or IPv6 (16 bytes).
struct InternetAddress: Hashable, Sendable, CustomStringConvertible {
    let bytes: [UInt8]

    init?(bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// An address as people and programs write it, in brackets or not; nil for a name, and for any other text.
    init?(_ text: some StringProtocol) {
        var text = Substring(text)
        if text.hasPrefix("["), text.hasSuffix("]") { text = text.dropFirst().dropLast() }
        guard let bytes = text.contains(":") ? Self.bytes(ofIPv6: text) : Self.bytes(ofIPv4: text) else { return nil }
        self.bytes = bytes
    }

    var isIPv6: Bool { bytes.count == 16 }

    /// Whether it is for one link only: 169.254.0.0/16, fe80::/10.
    var isLinkLocal: Bool {
        isIPv6 ? bytes[0] == 0xfe && bytes[1] & 0xc0 == 0x80 : bytes[0] == 169 && bytes[1] == 254
    }

    /// Whether it is one of many receivers: 224.0.0.0/4, ff00::/8.
    var isMulticast: Bool { isIPv6 ? bytes[0] == 0xff : bytes[0] & 0xf0 == 0xe0 }

    /// As people write it, IPv6 as RFC 5952 has it.
    var description: String {
        guard isIPv6 else { return bytes.map { String($0) }.joined(separator: ".") }
        let words = stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        // The longest run of zeros, the first of equal ones, if it is of two words or more.
        var (start, length) = (8, 1)
        for first in words.indices {
            let run = words[first...].prefix { $0 == 0 }.count
            if run > length { (start, length) = (first, run) }
        }
        func text(_ words: ArraySlice<UInt16>) -> String { words.map { hexadecimal($0) }.joined(separator: ":") }
        return start == 8 ? text(words[...]) : text(words[..<start]) + "::" + text(words[(start + length)...])
    }

    private static func bytes(ofIPv4 text: Substring) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { part in
            part.utf8.count <= 3 ? unsignedInteger(part.utf8, radix: 10).flatMap { UInt8(exactly: $0) } : nil
        }
        return parts.count == 4 && bytes.count == 4 ? bytes : nil
    }

    private static func bytes(ofIPv6 text: Substring) -> [UInt8]? {
        // Of the interface in fe80::1%eth0 the caller knows.
        let parts = text.prefix { $0 != "%" }.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count >= 3, parts.count <= 9 else { return nil }
        var (front, back): ([UInt8], [UInt8]?) = ([], nil)
        for (index, part) in parts.enumerated() {
            var bytes: [UInt8] = []
            if part.isEmpty {
                // At an end there are two of them, of which one is the gap.
                if (index == 0 && parts[1].isEmpty) || (index == parts.count - 1 && parts[index - 1].isEmpty) {
                    continue
                }
                guard back == nil else { return nil }
                back = []
                continue
            } else if index == parts.count - 1, let last = Self.bytes(ofIPv4: part) {
                bytes = last
            } else {
                guard part.utf8.count <= 4, let word = unsignedInteger(part.utf8, radix: 16) else { return nil }
                bytes = [UInt8(truncatingIfNeeded: word >> 8), UInt8(truncatingIfNeeded: word)]
            }
            if back == nil { front += bytes } else { back? += bytes }
        }
        guard let back else { return front.count == 16 ? front : nil }
        let gap = 16 - front.count - back.count
        return gap >= 2 ? front + [UInt8](repeating: 0, count: gap) + back : nil
    }
}

/// An address with the length of its network's prefix.
struct InternetPrefix: Hashable, Sendable, CustomStringConvertible {
    var address: InternetAddress
    var length: UInt8

    var description: String { "\(address)/\(length)" }
}
