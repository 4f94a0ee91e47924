// Which of the host's memory is online, block by block: /sys/devices/system/memory (drivers/base/memory.c).

import EventLoop
import Inventory
import PCI

/// The blocks of memory, each of which is online or not.
struct HostMemory: Equatable, Sendable {
    var blockSize: UInt64 = 0
    /// The numbers of blocks that are online; a block's address is its number times the size.
    var online: Set<UInt64> = []

    /// How many blocks in a range are online.
    func blocksOnline(in range: ClosedRange<UInt64>) -> Int {
        guard blockSize > 0 else { return 0 }
        let numbers = range.lowerBound / blockSize...range.upperBound / blockSize
        return online.count { numbers.contains($0) }
    }

    init(blockSize: UInt64 = 0, online: Set<UInt64> = []) {
        self.blockSize = blockSize
        self.online = online
    }

    /// The blocks that touch one of the ranges. There may be thousands of others.
    @LoopActor
    init(touching ranges: [ClosedRange<UInt64>], _ reader: UseReader) {
        let folder = ["devices", "system", "memory"]
        guard !ranges.isEmpty, let text = reader.text("block_size_bytes", in: folder),
            let size = hexadecimalNumber(text), size > 0
        else { return }
        blockSize = size
        for name in reader.names(folder) where name.hasPrefix("memory") {
            guard let number = decimal(String(name.dropFirst("memory".count))).flatMap({ UInt64(exactly: $0) }),
                ranges.contains(where: { ($0.lowerBound / size...$0.upperBound / size).contains(number) }),
                let state = reader.text("state", in: folder + [name]), state != "offline"
            else { continue }
            online.insert(number)
        }
    }
}
