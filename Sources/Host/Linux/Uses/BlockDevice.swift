// The block devices of a host, and which of them stand on which: partitions, device-mapper, md, and file systems on
// several devices.

/// A disk, a partition, or what stacks on them.
struct BlockDevice: Equatable, Sendable {
    var name: String
    /// Its folders: where it lies, and where its other paths lie (NVMe multipath).
    var paths: [[String]]
    /// MAJOR:MINOR; nil for one that has none.
    var number: String?
    /// The devices that stack on it.
    var holders: [String] = []
    /// What device-mapper calls it, below /dev/mapper.
    var mapperName: String?

    /// Whether it is a part of another.
    func isPartition(of other: BlockDevice) -> Bool {
        guard let path = paths.first, let whole = other.paths.first, path.count == whole.count + 1 else { return false }
        return path.starts(with: whole)
    }
}

extension [BlockDevice] {
    /// The devices with all that stands on them.
    func withAllAbove(_ names: [String]) -> [BlockDevice] {
        var found: [BlockDevice] = []
        var next = names[...]
        while let name = next.popFirst() {
            guard !found.contains(where: { $0.name == name }), let device = first(where: { $0.name == name }) else {
                continue
            }
            found.append(device)
            next += filter { $0.isPartition(of: device) }.map(\.name)
            next += device.holders
        }
        return found
    }
}
