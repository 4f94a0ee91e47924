// The identity of a group: made from topology, the same after every boot of the same machine, and fit to be a file name.

import Inventory
import PCI

/// `[A-Za-z0-9._-]`, 1 to 128 characters.
public struct GroupID: Hashable, Sendable {
    /// The text.
    public let text: String

    /// The longest identity, in characters.
    public static let longest = 128

    /// Takes a text that is an identity; nil for any other.
    public init?(_ text: String) {
        guard (1...Self.longest).contains(text.utf8.count), text.utf8.allSatisfy(Self.isAllowed) else { return nil }
        self.text = text
    }

    /// The identity of a group whose first member sits at `path`.
    init(_ path: TopologyPath) { self.init(fitting: path.description) }

    /// The identity of a group that is all of a host bridge.
    init(wholeHostBridge id: HostBridgeID) { self.init(fitting: id.description.replacingColon) }

    /// The identity of a group whose first member is of another bus: `BUS_NAME`.
    init(bus: String, name: String) { self.init(fitting: "\(bus)_\(name)") }

    /// Makes any text an identity: what is not allowed becomes `-`, and what is too long is cut and ends in a hash of
    /// all of it.
    private init(fitting text: String) {
        let allowed = text.utf8.map { Self.isAllowed($0) ? $0 : UInt8(ascii: "-") }
        if allowed.count <= Self.longest {
            self.text = String(decoding: allowed, as: UTF8.self)
        } else {
            let hash = hexadecimal(Self.hash(text.utf8), width: 16)
            self.text = String(decoding: allowed.prefix(Self.longest - 17), as: UTF8.self) + "-" + hash
        }
    }

    /// Another identity for a group whose own is taken by one that was there before.
    public func alternative(_ number: Int) -> GroupID {
        let suffix = "-\(number)"
        return GroupID(fitting: String(text.prefix(Self.longest - suffix.utf8.count)) + suffix)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// FNV-1a, 64 bits: the same in every run, which Swift's own hashes are not.
    private static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}

extension GroupID: Comparable, CustomStringConvertible {
    public static func < (a: GroupID, b: GroupID) -> Bool { a.text < b.text }
    public var description: String { text }
}
