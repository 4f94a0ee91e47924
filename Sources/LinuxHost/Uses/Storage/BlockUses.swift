// What is found of single block devices that sysfs has no holder for: the parts of file systems, exports, members of
// volume groups. Each kind is looked for in a file of its own; here they come together. No I/O.

import Host

/// Uses of block devices by the devices' names, and why not all may be known.
struct BlockUses: Equatable, Sendable {
    private var byName: [String: [DeviceUse.Kind]] = [:]
    /// Why more may be used, in words.
    private(set) var unknown: [String] = []

    subscript(name: String) -> [DeviceUse.Kind] { byName[name] ?? [] }

    mutating func add(_ kind: DeviceUse.Kind, to block: String) {
        if !self[block].contains(kind) { byName[block, default: []].append(kind) }
    }

    mutating func addUnknown(_ reason: String) {
        if !unknown.contains(reason) { unknown.append(reason) }
    }

    /// A use of whatever a path leads to; of a file there is nothing to say, because its file system is mounted. `what` is
    /// who has the path, for the sentence that says that it is not known where it leads.
    mutating func add(at path: String, _ nodes: BlockNodes, what: String, _ kind: (String) -> DeviceUse.Kind) {
        switch nodes.target(of: path) {
        case .block(let name): add(kind(name), to: name)
        case .other: break
        case .unknown: addUnknown("it is not known which disk \(path) is, \(what)")
        }
    }
}

/// What a source of block devices' uses looks at.
struct StorageFacts {
    var blocks: [BlockDevice]
    var mounts: [Mount]
    var nodes: BlockNodes
    var sys: UseReader
    var proc: UseReader
    var run: UseReader

    /// The file system on a block device in words, by where it is mounted.
    func fileSystem(_ type: String, on name: String) -> String {
        let number = blocks.first { $0.name == name }?.number
        let point = mounts.filter { $0.number == number }.map(\.point).min()
        return "the \(type) file system " + (point.map { "at \($0)" } ?? "of \(name)")
    }
}
