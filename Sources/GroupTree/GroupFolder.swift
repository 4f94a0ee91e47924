// A group as a folder: what `GROUPS/ID/` holds, as a value. Reading it takes a shell and nothing else, as the kernel's
// own /sys/kernel/iommu_groups does.

import Grouping
import Host
import Inventory
import Keeper
import PCI
import Registry

/// The contents of a group's folder.
struct GroupFolder: Equatable {
    /// The attributes: names and texts. Each ends in a newline, or is empty.
    var files: [(name: String, text: String)]
    /// The links in `devices/`: the members that are no bridges, by their names, and where they lead.
    var devices: [(name: String, target: String)]
    /// The links in `bridges/`: the bridges among the members.
    var bridges: [(name: String, target: String)]

    /// A group's folder.
    ///
    /// - Parameters:
    ///   - record: the group.
    ///   - windows: its DMA windows.
    ///   - uses: what the host uses of it; nil while that is not known.
    ///   - sysfs: where the links lead: `/sys`, and in a simulation somewhere that is nobody's device.
    init(_ record: GroupRecord, windows: [DMAWindow], uses: KnownUses.OfGroup?, sysfs: String) {
        let group = record.group
        let isInUse = record.state == .available && uses?.refuseClaim == true
        files = [
            ("state", (isInUse ? "in use" : record.state.name) + "\n"),
            ("reason", Self.lines([record.state.reason].compactMap { $0 })),
            ("backend", group.backend.rawValue + "\n"),
            ("host_bridges", Self.lines(group.hostBridges.map(\.description))),
            ("kernel_groups", Self.lines(group.kernelGroups.map(String.init))),
            ("dma_windows", Self.lines(windows.map(Self.line))), ("complete", record.isComplete ? "yes\n" : "no\n"),
            ("blockers", Self.lines(record.blockers.map { "\($0.device) \($0.driver)" })),
            ("claim", Self.lines([record.claim].compactMap { $0 })),
            ("uses", Self.lines(uses?.uses.map(Self.line) ?? [])),
        ]
        (devices, bridges) = ([], [])
        var names: Set<String> = []
        for device in record.members.lazy.map(\.device) {
            // Two buses may have a device of one name each, and a snapshot may hold names that no kernel gives.
            var name = device.address.name
            if !names.insert(name).inserted { name = device.address.bus + "_" + name }
            guard !name.isEmpty, name.utf8.count < 200, name.utf8.first != UInt8(ascii: "."),
                !name.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 == 0 })
            else { continue }
            let target = "\(sysfs)/bus/\(device.address.bus)/devices/\(device.address.name)"
            if device.isBridge { bridges.append((name, target)) } else { devices.append((name, target)) }
        }
    }

    /// `START LAST KIND PAGE_SIZES TIME SOURCE`, as in `reserved_regions` with more columns; `-` for what is not known.
    private static func line(_ window: DMAWindow) -> String {
        func address(_ value: UInt64?) -> String { value.map { "0x" + hexadecimal($0, width: 16) } ?? "-" }
        let sizes = window.pageSizeList.map { "0x" + hexadecimal($0) }.joined(separator: ",")
        return [
            address(window.start), address(window.last), window.kind.name, sizes.isEmpty ? "-" : sizes,
            window.time.rawValue, window.source,
        ].joined(separator: " ")
    }

    /// `DEVICE KIND SEVERITY SENTENCE`.
    private static func line(_ use: DeviceUse) -> String {
        "\(use.device) \(use.rule.word) \(use.rule.severity.rawValue) \(use.reason)"
    }

    /// A line each; a newline inside one would look like another.
    private static func lines(_ lines: [String]) -> String {
        lines.map { String($0.map { $0.isNewline ? " " : $0 }) + "\n" }.joined()
    }

    static func == (a: GroupFolder, b: GroupFolder) -> Bool {
        func same(_ a: [(name: String, text: String)], _ b: [(name: String, text: String)]) -> Bool {
            a.elementsEqual(b) { $0 == $1 }
        }
        return same(a.files, b.files) && a.devices.elementsEqual(b.devices) { $0 == $1 }
            && a.bridges.elementsEqual(b.bridges) { $0 == $1 }
    }
}
