// The DMA windows of a group and the resets of its members, as `show` prints them.

import GroupAPI

/// A table of windows; nil where there are none.
func windowTable(_ windows: [Groups.Window]) -> Table? {
    guard !windows.isEmpty else { return nil }
    var table = Table("FROM", "TO", "KIND", "PAGES", "TIME", "SOURCE")
    for window in windows {
        table.add(
            window.start ?? "?", window.last ?? "?", window.kind.rawValue, pageSizes(window.pageSizes ?? []),
            window.time.rawValue, window.source)
    }
    return table
}

/// `4K 64K 2M 1G`.
private func pageSizes(_ sizes: [String]) -> String {
    guard !sizes.isEmpty else { return "-" }
    return sizes.map { text in
        guard let size = UInt64(text.dropFirst(2), radix: 16), size > 0 else { return text }
        let units = ["", "K", "M", "G", "T"]
        let unit = min(size.trailingZeroBitCount / 10, units.count - 1)
        return "\(size >> UInt64(10 * unit))\(units[unit])"
    }.joined(separator: " ")
}

/// What resets of members are there, and what they take along, a line each.
func resetLines(_ reply: Groups.GetResets.Reply) -> [String] {
    var lines: [String] = []
    for member in reply.members {
        let methods = member.methods.map { $0.isEmpty ? "no way to reset it" : $0.joined(separator: ", ") }
        lines.append("\(member.address.text): \(methods ?? "unknown")")
        for (what, scope) in [("bus", member.bus), ("slot", member.slot)] {
            // On PCI Express a slot is all of its bus.
            guard let scope, what == "bus" || scope.devices != member.bus?.devices else { continue }
            let others = scope.devices.filter { $0 != member.address }
            let foreign = scope.groups.filter { $0 != reply.group }
            guard !others.isEmpty else { continue }
            let names = others.prefix(6).map(\.text).joined(separator: ", ")
            lines.append(
                "  a reset of \(what) \(scope.name) takes along \(names)"
                    + (others.count > 6 ? " and \(others.count - 6) more" : "")
                    + (foreign.isEmpty
                        ? ""
                        : ", of \(foreign.count) other group\(foreign.count == 1 ? "" : "s"): "
                            + foreign.prefix(4).joined(separator: ", ") + (foreign.count > 4 ? ", ..." : "")))
        }
    }
    return lines
}
