// Memory of devices that the host uses as its own: what lies on an expander of CXL, or in a DAX device of a device.
// Nothing can be moved off it unless the kernel can do without, and a device that goes takes it along
// (Documentation/driver-api/cxl, drivers/dax/kmem.c).

import EventLoop
import Host
import Inventory
import PCI

/// The memory of devices, with what of it is online.
struct MemoryUses: UseSource {
    /// A part of a device's memory that has an address.
    struct Region: Equatable, Sendable {
        /// region0, dax0.0
        var name: String
        /// Its folder.
        var path: [String]
        var range: ClosedRange<UInt64>
        /// The folders of expanders that it lies on; of a DAX device that is no region's there is none.
        var expanders: [[String]] = []
    }

    var regions: [Region] = []
    /// The nodes of DAX devices, by their folders.
    var nodes: [[String]: NodeNumber] = [:]
    var memory = HostMemory()
    /// The folders of the expanders, and of what else has DAX devices.
    var expanders: [[String]] = []
    /// Why not all is known of memory on devices.
    var unread: String?

    @LoopActor static func read(_ question: UseQuestion) async -> MemoryUses {
        let reader = UseReader(below: question.host.root)
        var uses = MemoryUses()
        let cxl = reader.devices("bus/cxl/devices")
        uses.expanders = cxl.filter { $0.name.hasPrefix("mem") }.map(\.path)
        for device in cxl where device.name.hasPrefix("region") {
            guard let range = range(at: device.path, reader) else { continue }
            let expanders = Self.expanders(of: device.name, cxl, reader)
            uses.regions.append(Region(name: device.name, path: device.path, range: range, expanders: expanders))
        }
        for device in reader.devices("bus/dax/devices") {
            if let number = reader.text("dev", in: device.path).flatMap({ NodeNumber($0) }) {
                uses.nodes[device.path] = number
            }
            guard let range = range(at: device.path, reader) else { continue }
            uses.regions.append(Region(name: device.name, path: device.path, range: range))
        }
        uses.memory = HostMemory(touching: uses.regions.map(\.range), reader)
        uses.unread = reader.failure
        return uses
    }

    /// `resource` is where it begins, and `size` how long it is; 0 for what is not set up.
    @LoopActor
    private static func range(at path: [String], _ reader: UseReader) -> ClosedRange<UInt64>? {
        guard let start = reader.text("resource", in: path).flatMap({ hexadecimalNumber($0) }),
            let text = reader.text("size", in: path),
            let size = text.hasPrefix("0x") ? hexadecimalNumber(text) : unsignedInteger(text.utf8, radix: 10), size > 0
        else { return nil }
        let (end, overflow) = start.addingReportingOverflow(size - 1)
        // Where there is no address yet, it is -1.
        return overflow ? nil : start...end
    }

    /// An endpoint's decoder names the region that it decodes for (`region`), and the endpoint above it the expander
    /// (`uport`).
    @LoopActor
    private static func expanders(
        of region: String, _ cxl: [(name: String, path: [String])], _ reader: UseReader
    ) -> [[String]] {
        cxl.filter { $0.name.hasPrefix("decoder") && reader.text("region", in: $0.path) == region }
            .compactMap { reader.link("uport", in: $0.path.dropLast()) }
    }

    func nodes(of subject: UseSubject) -> Set<NodeNumber> {
        Set(nodes.filter { node in own(subject).contains { node.key.starts(with: $0.path) } }.values)
    }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        let own = own(subject)
        var kinds: [DeviceUse.Kind] = own.compactMap { region in
            let blocks = memory.blocksOnline(in: region.range)
            return blocks == 0 ? nil : .memoryOnline(region: region.name, blocks: blocks)
        }
        let nodes = nodes(of: subject).subtracting(subject.nodes.keys)
        kinds += subject.openers.filter { !$0.nodes.isDisjoint(with: nodes) }
            .map { .open(pid: $0.process.pid, command: $0.command) }
        if let unread, expanders.contains(where: subject.has) || !own.isEmpty { kinds.append(.unknown(reason: unread)) }
        return kinds
    }

    /// The regions on the device. The DAX devices that a region is cut into lie below its folder, and are no others.
    private func own(_ subject: UseSubject) -> [Region] {
        regions.filter { subject.has($0.path) || $0.expanders.contains(where: subject.has) }
    }
}
