// What hangs on a Thunderbolt or USB4 controller. Its driver makes the tunnels for PCIe, DisplayPort and USB; without
// it they are torn down, and with them goes whatever is behind: disks, network cards, displays
// (drivers/thunderbolt/tb.c).

import EventLoop
import Host

/// The devices on Thunderbolt controllers.
struct RouterUses: UseSource {
    /// What they call themselves, by their folders.
    var devices: [[String]: String] = [:]
    /// The folders of domains: a controller has one.
    var domains: [[String]] = []
    /// Why not all is known.
    var unread: String?

    @LoopActor static func read(_ question: UseQuestion) async -> RouterUses {
        let reader = UseReader(below: question.host.root)
        var uses = RouterUses()
        for (name, path) in reader.devices("bus/thunderbolt/devices") {
            if name.hasPrefix("domain") { uses.domains.append(path) }
            guard isDevice(name) else { continue }
            let words = ["vendor_name", "device_name"].compactMap { reader.text($0, in: path) }.filter { !$0.isEmpty }
            uses.devices[path] = words.isEmpty ? "the device \(name)" : words.joined(separator: " ")
        }
        uses.unread = reader.failure
        return uses
    }

    /// DOMAIN-ROUTE. The controller itself has route 0; retimers are `0-0:1.1`, services of another host `0-1.0`.
    static func isDevice(_ name: String) -> Bool {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].allSatisfy(\.isHexDigit), let route = hexadecimalNumber(parts[1]) else {
            return false
        }
        return route != 0
    }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        // What hangs on a device comes after it, and goes with it.
        let own = devices.filter { subject.has($0.key) }
        let first = own.filter { device in
            !own.keys.contains { $0.count < device.key.count && device.key.starts(with: $0) }
        }
        var kinds: [DeviceUse.Kind] = first.values.sorted().map { .routed(device: $0) }
        if let unread, domains.contains(where: subject.has) { kinds.append(.unknown(reason: unread)) }
        return kinds
    }
}
