// What is mounted and what is swapped to, from the kernel's own lists.

import Inventory
import PCI

/// A mounted file system, a line of /proc/PID/mountinfo (Documentation/filesystems/proc.rst).
struct Mount: Hashable, Sendable {
    /// MAJOR:MINOR of the file system; of one that is not on one block device, a number that stands for nothing.
    var number: String
    var point: String
    var type: String
    /// What was mounted: a node, or any other word.
    var source: String
    /// The options of the file system: of one from the network, where its server is; of XFS, its other devices. Of others
    /// they are left out.
    var options: String = ""

    /// The file systems whose options are kept.
    private static let typesWithOptions: Set<String> = ["nfs", "nfs4", "cifs", "smb3", "xfs"]

    /// The mounts that a process sees.
    static func table(_ bytes: some Collection<UInt8>) -> [Mount] {
        bytes.split(separator: 0x0a).compactMap { Mount(line: $0) }
    }

    /// What a line says; nil for one that makes no sense.
    init?(line: some Collection<UInt8>) {
        let fields = line.split(separator: 0x20)
        // Optional fields come before the dash, as many as there are.
        guard fields.count > 6, let dash = fields[6...].firstIndex(where: { $0.elementsEqual("-".utf8) }),
            fields.count > dash + 2
        else { return nil }
        number = String(decoding: fields[2], as: UTF8.self)
        point = unescaped(fields[4])
        type = unescaped(fields[dash + 1])
        source = unescaped(fields[dash + 2])
        if Self.typesWithOptions.contains(type), fields.count > dash + 3 { options = unescaped(fields[dash + 3]) }
    }

    init(number: String, point: String, type: String, source: String, options: String = "") {
        (self.number, self.point, self.type, self.source, self.options) = (number, point, type, source, options)
    }
}

/// Something that is swapped to, a line of /proc/swaps.
struct SwapArea: Hashable, Sendable {
    /// A node, or a file in a file system.
    var path: String
    var isFile: Bool

    /// The swap areas; the first line is a heading.
    static func table(_ bytes: some Collection<UInt8>) -> [SwapArea] {
        bytes.split(separator: 0x0a).dropFirst().compactMap { line in
            let fields = line.split(whereSeparator: { $0 == 0x20 || $0 == 0x09 })
            guard fields.count >= 2 else { return nil }
            return SwapArea(path: unescaped(fields[0]), isFile: fields[1].elementsEqual("file".utf8))
        }
    }
}

/// A field in which space, tab, newline and backslash stand as `\040` and the like (seq_path).
private func unescaped(_ field: some Collection<UInt8>) -> String {
    var result: [UInt8] = []
    var rest = Array(field)[...]
    while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "\\"), rest.count >= 3, rest.prefix(3).allSatisfy({ $0 >= 0x30 && $0 <= 0x37 }) {
            result.append(rest.prefix(3).reduce(0) { $0 << 3 | ($1 & 7) })
            rest = rest.dropFirst(3)
        } else {
            result.append(byte)
        }
    }
    return String(decoding: result, as: UTF8.self)
}
