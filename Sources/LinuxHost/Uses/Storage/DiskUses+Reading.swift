// Reading which disks a host has, what it swaps to, and what sysfs has no holder for.

import EventLoop
import Files
import Glibc
import Inventory
import PCI

extension DiskUses {
    @LoopActor static func read(_ question: UseQuestion) async -> DiskUses {
        let root = question.host.root
        let prefix = question.host.joined("")
        let reader = UseReader(below: root)
        var uses = DiskUses(mounts: question.mounts.mounts, unknown: question.mounts.unknown)
        uses.readBlocks(reader)
        uses.unread = reader.failure
        // From here on it is known which disks there are, and not how they are used.
        var facts = StorageFacts(
            blocks: uses.blocks, mounts: uses.mounts, nodes: BlockNodes(uses.blocks, below: prefix),
            sys: UseReader(below: root), proc: UseReader(below: root, folder: "proc"),
            run: UseReader(below: root, folder: "run"))
        uses.addBackings(facts.nodes)
        uses.resolveSources(facts)
        uses.readSwaps(prefix, facts.nodes)
        uses.mounts = Array(Set(uses.mounts))
        (facts.blocks, facts.mounts) = (uses.blocks, uses.mounts)
        uses.readFound(&facts)
        return uses
    }

    @LoopActor private mutating func readFound(_ facts: inout StorageFacts) {
        found.addParts(ofXFS: mounts, facts.nodes)
        found.addJournals(facts)
        found.addDisks(ofF2FS: facts)
        found.addUnseen(facts)
        found.addPhysicalVolumes(facts)
        found.addCaches(facts)
        found.addExports(&facts)
        pools = ZFSPools.read(facts)
        blocks = facts.blocks
        for failure in [facts.sys.failure, facts.proc.failure, facts.run.failure] {
            if let failure { unknown.append(failure) }
        }
    }

    /// Reads /sys/class/block.
    @LoopActor private mutating func readBlocks(_ reader: UseReader) {
        for (name, path) in reader.devices("class/block") {
            var block = BlockDevice(
                name: name, paths: [path] + Self.controllers(of: path, reader), number: reader.text("dev", in: path),
                holders: reader.names(path + ["holders"]), isEmpty: reader.text("size", in: path) == "0",
                mapperName: reader.text("dm/name", in: path),
                backing: reader.text("loop/backing_file", in: path))
            if block.mapperName != nil { block.mapperID = reader.text("dm/uuid", in: path) }
            if name.hasPrefix("md"), let state = reader.text("md/array_state", in: path) {
                block.array = BlockDevice.ArrayState(level: reader.text("md/level", in: path) ?? "", state: state)
            }
            if name.hasPrefix("zram"), let backing = reader.text("backing_dev", in: path), backing != "none" {
                block.backing = backing
            }
            if name.hasPrefix("nvme") { block.wwid = reader.text("wwid", in: path) }
            if name.hasPrefix("sd") { block.wwid = reader.text("device/wwid", in: path) }
            for controller in block.controllers {
                states[controller.name] = reader.text("state", in: controller.path)
            }
            blocks.append(block)
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

    private mutating func readSwaps(_ prefix: String, _ nodes: BlockNodes) {
        do throws(SystemError) {
            addSwaps(SwapArea.table(try Directory(path: prefix + "proc").readAll("swaps")), nodes)
        } catch {
            // A kernel without swap has no such file.
            if !error.isVanished { unknown.append("/proc/swaps cannot be read: \(errorText(error.errno))") }
        }
    }

    private mutating func addSwaps(_ areas: [SwapArea], _ nodes: BlockNodes) {
        for area in areas {
            if area.isFile {
                let mount = mounts.filter { area.path.isBelow($0.point) }.max { $0.point.count < $1.point.count }
                if let mount { swaps.append(mount.number) }
            } else if let number = number(ofNode: area.path, nodes) {
                swaps.append(number)
            } else {
                unknown.append("it is not known where \(area.path) lies, which is swapped to")
            }
        }
    }

    /// A loop device stands on the block device that it is made of, and zram on the one that it writes to. Of one made
    /// of a file, the file system is mounted.
    private mutating func addBackings(_ nodes: BlockNodes) {
        for device in blocks {
            guard let backing = device.backing else { continue }
            switch nodes.target(of: backing) {
            case .block(let name):
                guard let index = blocks.firstIndex(where: { $0.name == name }) else { continue }
                blocks[index].holders.append(device.name)
            case .other: break
            case .unknown: found.addUnknown("it is not known which disk \(backing) is, on which \(device.name) stands")
            }
        }
    }

    /// MAJOR:MINOR of a node by its path.
    private func number(ofNode path: String, _ nodes: BlockNodes) -> String? {
        guard case .block(let name) = nodes.target(of: path) else { return nil }
        return blocks.first { $0.name == name }?.number
    }
}

extension DiskUses {
    /// Finds the block devices of file systems whose number is none of a block device: btrfs, bcachefs.
    @LoopActor private mutating func resolveSources(_ facts: StorageFacts) {
        for identity in facts.sys.names(["fs", "btrfs"]) {
            let members = facts.sys.names(["fs", "btrfs", identity, "devices"])
            addFileSystem("btrfs", identity, members, facts.nodes)
        }
        // A folder for each disk that is there, with a link to it (bch2_dev_sysfs_online in fs/bcachefs/super.c).
        for identity in facts.sys.names(["fs", "bcachefs"]) {
            let folder = ["fs", "bcachefs", identity]
            let members = facts.sys.names(folder).filter { $0.hasPrefix("dev-") }.compactMap {
                facts.sys.linkName("block", in: folder + [$0])
            }
            addFileSystem("bcachefs", identity, members, facts.nodes)
        }
        resolveByNames(facts.nodes)
    }

    /// A file system on several devices stands on all of them, whichever its mounts name.
    private mutating func addFileSystem(_ type: String, _ identity: String, _ members: [String], _ nodes: BlockNodes) {
        guard !members.isEmpty else { return }
        let name = "\(type) \(identity)"
        let number = "\(type):\(identity)"
        blocks.append(BlockDevice(name: name, paths: [], number: number))
        for index in blocks.indices where members.contains(blocks[index].name) { blocks[index].holders.append(name) }
        for index in mounts.indices where mounts[index].type == type {
            // bcachefs names all its devices.
            let targets = mounts[index].source.split(separator: ":").map { nodes.target(of: String($0)) }
            if members.contains(where: { targets.contains(.block($0)) }) { mounts[index].number = number }
        }
    }

    private mutating func resolveByNames(_ nodes: BlockNodes) {
        var more: [Mount] = []
        for index in mounts.indices where mounts[index].number.hasPrefix("0:") {
            var mount = mounts[index]
            let numbers = mount.source.split(separator: ":").compactMap { number(ofNode: String($0), nodes) }
            guard let first = numbers.first else { continue }
            mounts[index].number = first
            for number in numbers.dropFirst() {
                mount.number = number
                more.append(mount)
            }
        }
        mounts += more
    }
}
