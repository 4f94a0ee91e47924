// Reading which disks a host has, and what it swaps to.

import EventLoop
import Files
import Glibc
import Inventory
import PCI

extension DiskUses {
    @LoopActor static func read(_ question: UseQuestion) async -> DiskUses {
        let reader = UseReader(below: question.host.root)
        let prefix = question.host.joined("")
        var uses = DiskUses(mounts: question.mounts.mounts, unknown: question.mounts.unknown)
        uses.readBlocks(reader)
        uses.addLoops(prefix)
        uses.resolveSources(prefix, reader)
        uses.readSwaps(prefix)
        uses.mounts = Array(Set(uses.mounts))
        uses.unread = reader.failure
        return uses
    }

    /// Reads /sys/class/block.
    @LoopActor private mutating func readBlocks(_ reader: UseReader) {
        for (name, path) in reader.devices("class/block") {
            blocks.append(
                BlockDevice(
                    name: name, paths: [path] + Self.controllers(of: path, reader),
                    number: reader.text("dev", in: path), holders: reader.names(path + ["holders"]),
                    isEmpty: reader.text("size", in: path) == "0",
                    mapperName: reader.text("dm/name", in: path), backing: reader.text("loop/backing_file", in: path)))
        }
    }

    /// The controllers below which a disk of NVMe with several paths lies; it is itself a virtual device
    /// (drivers/nvme/host/multipath.c).
    @LoopActor private static func controllers(of path: [String], _ reader: UseReader) -> [[String]] {
        guard let index = path.firstIndex(where: { $0.hasPrefix("nvme-subsys") && $0 != "nvme-subsystem" }) else {
            return []
        }
        let above = Array(path[...index])
        return reader.names(above).filter { $0.hasPrefix("nvme") }.compactMap { name in
            // The disk is a part of the controller: below it, not the controller itself.
            reader.link(name, in: above).map { $0 + [path.last ?? ""] }
        }
    }

    private mutating func readSwaps(_ prefix: String) {
        do throws(SystemError) {
            addSwaps(SwapArea.table(try Directory(path: prefix + "proc").readAll("swaps")), prefix)
        } catch {
            // A kernel without swap has no such file.
            if !error.isVanished { unknown.append("/proc/swaps cannot be read: \(errorText(error.errno))") }
        }
    }

    /// Finds the block devices of file systems whose number is none of a block device: btrfs, bcachefs.
    @LoopActor private mutating func resolveSources(_ prefix: String, _ reader: UseReader) {
        addBtrfs(prefix, reader)
        var more: [Mount] = []
        for index in mounts.indices where mounts[index].number.hasPrefix("0:") {
            let mount = mounts[index]
            // bcachefs names all its devices.
            let numbers = mount.source.split(separator: ":").compactMap { blockNumber(ofNode: String($0), prefix) }
            guard let first = numbers.first else { continue }
            mounts[index].number = first
            more += numbers.dropFirst().map { number in
                Mount(number: number, point: mount.point, type: mount.type, source: mount.source)
            }
        }
        mounts += more
    }

    /// A loop device stands on the block device that it is made of. Of one made of a file, the file system is mounted.
    private mutating func addLoops(_ prefix: String) {
        for loop in blocks {
            guard let backing = loop.backing, let number = blockNumber(ofNode: backing, prefix) else { continue }
            for index in blocks.indices where blocks[index].number == number { blocks[index].holders.append(loop.name) }
        }
    }

    /// A file system of btrfs stands on all of its devices, whichever of them its mounts name.
    @LoopActor private mutating func addBtrfs(_ prefix: String, _ reader: UseReader) {
        for identity in reader.names(["fs", "btrfs"]) {
            let members = reader.names(["fs", "btrfs", identity, "devices"])
            guard !members.isEmpty else { continue }
            let name = "btrfs \(identity)"
            let number = "btrfs:\(identity)"
            blocks.append(BlockDevice(name: name, paths: [], number: number))
            let numbers = blocks.filter { members.contains($0.name) }.compactMap(\.number)
            for index in blocks.indices where members.contains(blocks[index].name) {
                blocks[index].holders.append(name)
            }
            for index in mounts.indices where mounts[index].type == "btrfs" {
                guard let found = blockNumber(ofNode: mounts[index].source, prefix), numbers.contains(found) else {
                    continue
                }
                mounts[index].number = number
            }
        }
    }

    /// MAJOR:MINOR of a node by its path.
    private func blockNumber(ofNode path: String, _ prefix: String) -> String? {
        guard path.hasPrefix("/dev/") else { return nil }
        var status = stat()
        if stat(prefix + path.dropFirst(), &status) == 0, let number = NodeNumber(status), number.isBlock {
            return "\(number.major):\(number.minor)"
        }
        // A node that only another mount namespace has still names its device.
        guard let name = path.split(separator: "/").last else { return nil }
        return blocks.first { $0.name == name || $0.mapperName == String(name) }?.number
    }

    private mutating func addSwaps(_ areas: [SwapArea], _ prefix: String) {
        for area in areas {
            if area.isFile {
                let mount = mounts.filter { area.path.isBelow($0.point) }.max { $0.point.count < $1.point.count }
                if let mount { swaps.append(mount.number) }
            } else if let number = blockNumber(ofNode: area.path, prefix) {
                swaps.append(number)
            } else {
                unknown.append("it is not known where \(area.path) lies, which is swapped to")
            }
        }
    }
}
