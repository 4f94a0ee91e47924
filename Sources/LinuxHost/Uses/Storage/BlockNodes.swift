// Which block device a path names: those that wrote it down (a mount option, a loop device, an export) gave a node, and
// the kernel keeps the path alone.

import Glibc
import Inventory
import PCI

/// Finds block devices by the paths of their nodes.
struct BlockNodes: Sendable {
    /// What a path leads to.
    enum Target: Equatable, Sendable {
        /// This block device.
        case block(String)
        /// Something else: a file in a file system, a character device.
        case other
        /// A node below /dev that is not there, and whose name is no device's: that of another mount namespace, or one
        /// that was removed.
        case unknown
    }

    private let prefix: String
    private var names: Set<String> = []
    private var namesByNumber: [String: String] = [:]
    private var namesByMapperName: [String: String] = [:]

    /// - Parameters:
    ///   - blocks: all block devices.
    ///   - prefix: the root folder, with a slash at its end.
    init(_ blocks: [BlockDevice], below prefix: String) {
        self.prefix = prefix
        for block in blocks {
            names.insert(block.name)
            if let number = block.number { namesByNumber[number] = block.name }
            if let mapperName = block.mapperName { namesByMapperName[mapperName] = block.name }
        }
    }

    func target(of path: String) -> Target {
        // seq_path and d_path say so of a node that was removed while it is in use.
        let path = path.hasSuffix(" (deleted)") ? String(path.dropLast(" (deleted)".count)) : path
        // Asking a file of a network that is gone would not return.
        guard path.hasPrefix("/dev/") else { return .other }
        var status = stat()
        if stat(prefix + path.dropFirst(), &status) == 0 {
            guard let number = NodeNumber(status), number.isBlock else { return .other }
            return namesByNumber["\(number.major):\(number.minor)"].map { .block($0) } ?? .unknown
        }
        return (byName(path) ?? byName(linkTarget(path))).map { .block($0) } ?? .unknown
    }

    /// A node that only another mount namespace has still names its device.
    private func byName(_ path: String?) -> String? {
        guard let parts = path?.split(separator: "/").map({ String($0) }), let last = parts.last else { return nil }
        if names.contains(last) { return last }
        if let name = namesByMapperName[last] { return name }
        // /dev/GROUP/VOLUME
        guard parts.count == 3 else { return nil }
        return namesByMapperName[LogicalVolume(group: parts[1], name: last).mapperName]
    }

    private func linkTarget(_ path: String) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { text in
            guard let start = text.baseAddress else { return nil }
            let count = readlink(prefix + path.dropFirst(), start, text.count)
            guard count > 0 else { return nil }
            return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}
