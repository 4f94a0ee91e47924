// Disks that are reached in more than one way. Where the kernel has made one disk of the ways (NVMe's own multipath,
// dm-multipath), taking a controller takes a way: the disk lives on, with less redundancy than somebody meant it to
// have. Whether that will do is for the administrator to say, by forcing the member. Where the kernel has not, the same
// disk is there twice, and a guest with the one writes on the other.

import Host

extension DiskUses {
    /// The ways to used disks that a device is.
    func paths(_ subject: UseSubject, _ own: [BlockDevice], _ involved: [BlockDevice]) -> [DeviceUse.Kind] {
        var kinds: [DeviceUse.Kind] = []
        for block in own where isUsed(block.name) {
            let others = block.controllers.filter { !subject.has($0.path + [block.name]) && isLive($0) }
            if !others.isEmpty { kinds.append(.path(to: block.name, others: others.map(\.label))) }
        }
        let names = Set(own.map(\.name))
        for block in involved where block.mapperID?.hasPrefix("mpath-") == true && isUsed(block.name) {
            let others = blocks.filter { $0.holders.contains(block.name) && !names.contains($0.name) }
            if !others.isEmpty { kinds.append(.path(to: block.label, others: others.map(\.name))) }
        }
        return kinds
    }

    /// The disks of a device that are there once more elsewhere, and used there.
    func duplicates(_ own: [BlockDevice], _ involved: [BlockDevice]) -> [DeviceUse.Kind] {
        var kinds: [DeviceUse.Kind] = []
        let names = Set(involved.map(\.name))
        for block in own {
            guard block.number != nil, let wwid = block.wwid, Self.isUnique(wwid) else { continue }
            for other in blocks where other.wwid == wwid && !names.contains(other.name) {
                guard let use = use(of: other.name) else { continue }
                kinds.append(.sameDisk(as: other.name, use: use, via: block.name))
            }
        }
        return kinds
    }

    /// Whether no two disks have it: NVMe's all, which the kernel checks (nvme_init_ns_head), of SCSI those that their
    /// makers registered; cheap bridges of USB all say the same.
    private static func isUnique(_ wwid: String) -> Bool {
        ["nvme.", "eui.", "naa.", "uuid."].contains { wwid.hasPrefix($0) }
    }

    private func isLive(_ controller: BlockDevice.Controller) -> Bool {
        states[controller.name].map { $0 == "live" } ?? true
    }

    private func isUsed(_ name: String) -> Bool { use(of: name) != nil }

    /// What is made of a device, or of what stands on it, in words.
    private func use(of name: String) -> String? {
        let above = BlockStack(blocks).withAllAbove([name])
        switch above.flatMap(direct).first {
        case .mounted(let point, _): return "is mounted at \(point)"
        case .swap: return "is swapped to"
        case .some: return "is used"
        case nil: return above.contains { !$0.holders.isEmpty } ? "is used" : nil
        }
    }
}
