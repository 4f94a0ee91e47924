// What a host uses its devices for, as text and lists said it; and which of it concerns which device. No I/O.

import Host
import Inventory
import PCI

/// All that was found out about what a host uses.
struct HostUse: Equatable, Sendable {
    var blocks: [BlockDevice] = []
    var mounts: [Mount] = []
    /// The MAJOR:MINOR of what is swapped to.
    var swaps: [String] = []
    var interfaces: [NetworkInterface] = []
    /// The interfaces of default routes.
    var defaultInterfaces: [String] = []
    /// The folders of framebuffers, where the console is on one.
    var consoles: [[String]] = []
    /// Why it is not known in full what there is that may be used.
    var unlisted: String?
    /// Why the use of disks is not known in full.
    var unknownDisks: [String] = []
    /// Why the use of network interfaces is not known in full.
    var unknownInterfaces: [String] = []

    /// What concerns one device.
    struct Subject: Sendable {
        var device: DeviceAddress
        var path: [String]
        var isBootDisplay = false
        /// Who has nodes of it open.
        var openers: [(pid: Int32, command: String)] = []
    }

    /// The uses of devices.
    func uses(of subjects: [Subject]) -> [DeviceUse] {
        let stack = BlockStack(blocks)
        return subjects.flatMap { uses(of: $0, stack) }
    }

    private func uses(of subject: Subject, _ stack: BlockStack) -> [DeviceUse] {
        var kinds = disks(of: subject.path, stack)
        let routed = withLower(defaultInterfaces, interfaces)
        let own = interfaces.filter { belongs($0.path, to: subject.path) }
        kinds += own.filter { routed.contains($0.name) }.map { .defaultRoute(interface: $0.name) }
        if !own.isEmpty { kinds += unknownInterfaces.map { .unknown(reason: $0) } }
        if subject.isBootDisplay || consoles.contains(where: { belongs($0, to: subject.path) }) {
            kinds.append(.bootDisplay)
        }
        kinds += subject.openers.map { .open(pid: $0.pid, command: $0.command) }
        var uses: [DeviceUse] = []
        for kind in kinds where !uses.contains(where: { $0.kind == kind }) {
            uses.append(DeviceUse(subject.device, kind))
        }
        return uses
    }

    private func disks(of path: [String], _ stack: BlockStack) -> [DeviceUse.Kind] {
        let own = blocks.filter { block in block.paths.contains { belongs($0, to: path) } }
        guard !own.isEmpty else { return [] }
        let involved = stack.withAllAbove(own.map(\.name))
        var kinds: [DeviceUse.Kind] = []
        for block in involved { kinds += direct(block) }
        let isUsed = !kinds.isEmpty
        for block in involved {
            for holder in block.holders where !stack.withAllAbove([holder]).contains(where: { !direct($0).isEmpty }) {
                kinds.append(.stacked(holder: holder))
            }
        }
        if !isUsed, mounts.contains(where: { $0.type == "zfs" }) {
            kinds.append(.unknown(reason: "a ZFS pool is in use, and it is not known on which disks"))
        }
        return kinds + unknownDisks.map { .unknown(reason: $0) }
    }

    private func direct(_ block: BlockDevice) -> [DeviceUse.Kind] {
        guard let number = block.number else { return [] }
        var points: Set<String> = []
        for mount in mounts where mount.number == number { points.insert(mount.point) }
        return points.sorted().map { .mounted(at: $0, via: block.name) }
            + (swaps.contains(number) ? [.swap(via: block.name)] : [])
    }
}

/// Whether what lies at `path` is a part of the device at `device`: below it, and below no other PCI function, unless
/// that hangs on a host bridge which the device itself is (Intel VMD).
func belongs(_ path: [String], to device: [String]) -> Bool {
    guard path.count > device.count, path.starts(with: device) else { return false }
    for component in path[device.count...] {
        if HostBridgeID(component) != nil { return true }
        if PCIAddress(component) != nil { return false }
    }
    return true
}
