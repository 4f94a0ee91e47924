// The block devices of a host, and which of them stand on which: partitions, device-mapper, md, and file systems on
// several devices.

import Inventory
import PCI

/// A disk, a partition, or what stacks on them.
struct BlockDevice: Equatable, Sendable {
    var name: String
    /// Its folders: where it lies, and where its other paths lie (NVMe multipath).
    var paths: [[String]]
    /// MAJOR:MINOR; nil for one that has none.
    var number: String?
    /// The devices that stack on it.
    var holders: [String] = []
    /// Whether it has no room, as a drive without a medium: nobody has mounted it then.
    var isEmpty = false
    /// What device-mapper calls it, below /dev/mapper.
    var mapperName: String?
    /// Its UUID of device-mapper, which begins with who made it.
    var mapperID: String?
    /// What md says of it, if it is an array.
    var array: ArrayState?
    /// By which it is told from all other disks, whichever way it is reached: of a namespace of NVMe, or a SCSI disk.
    var wwid: String?
    /// What a loop device is made of, or zram writes to: a file, or another block device, which does not know of it.
    var backing: String?

    /// An array of md.
    struct ArrayState: Equatable, Sendable {
        /// "raid1" and the like; empty for one that does not run.
        var level: String
        /// "inactive", "clean", "active" and the like.
        var state: String
    }

    /// The controllers of a disk of NVMe with several paths; of others there are none.
    var controllers: [Controller] {
        guard let path = paths.first, path.count > 1, path[path.count - 2].hasPrefix("nvme-subsys") else { return [] }
        return paths.dropFirst().compactMap { Controller(path: $0.dropLast()) }
    }

    /// A controller of NVMe.
    struct Controller: Equatable, Sendable {
        var name: String
        /// Its folder.
        var path: [String]

        init?(path: some Sequence<String>) {
            self.path = Array(path)
            guard let name = self.path.last else { return nil }
            self.name = name
        }

        /// The controller with the function that it is.
        var label: String {
            path.last { PCIAddress($0) != nil }.map { "\(name) (\($0))" } ?? name
        }
    }
}

/// Which block devices stand on which.
struct BlockStack: Sendable {
    private var devices: [String: BlockDevice] = [:]
    private var above: [String: [String]] = [:]

    init(_ blocks: [BlockDevice]) {
        for block in blocks { devices[block.name] = block }
        for block in blocks {
            above[block.name, default: []] += block.holders
            // The folder of a partition lies in that of its disk.
            if let path = block.paths.first, path.count > 1, devices[path[path.count - 2]] != nil {
                above[path[path.count - 2], default: []].append(block.name)
            }
        }
    }

    subscript(name: String) -> BlockDevice? { devices[name] }

    /// The devices with all that stands on them; each once, what is near first.
    func withAllAbove(_ names: [String]) -> [BlockDevice] {
        var found: [BlockDevice] = []
        var seen: Set<String> = []
        var next = names[...]
        while let name = next.popFirst() {
            guard seen.insert(name).inserted else { continue }
            if let device = devices[name] { found.append(device) }
            next += (above[name] ?? []).sorted()
        }
        return found
    }
}
