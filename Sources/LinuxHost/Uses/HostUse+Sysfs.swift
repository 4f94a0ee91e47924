// Reading from sysfs what a host has that it may use: block devices, network interfaces, consoles.

import Files
import Glibc
import Inventory
import PCI

extension HostUse {
    /// Reads /sys/class/block.
    mutating func readBlocks(_ sys: borrowing Directory) {
        forEachLink(in: "class/block", sys) { use, name, path in
            let holders = (try? names(in: path + ["holders"], sys)) ?? []
            use.blocks.append(
                BlockDevice(
                    name: name, paths: [path] + use.controllers(of: path, sys), number: text("dev", in: path, sys),
                    holders: holders, mapperName: text("dm/name", in: path, sys),
                    backing: text("loop/backing_file", in: path, sys)))
        }
    }

    /// The controllers below which a disk of NVMe with several paths lies; it is itself a virtual device
    /// (drivers/nvme/host/multipath.c).
    private func controllers(of path: [String], _ sys: borrowing Directory) -> [[String]] {
        guard let index = path.firstIndex(where: { $0.hasPrefix("nvme-subsys") && $0 != "nvme-subsystem" }),
            let folder = try? Directory(path[...index].joined(separator: "/"), below: sys),
            let names = try? folder.names()
        else { return [] }
        let above = Array(path[...index])
        return names.compactMap { name -> [String]? in
            guard name.hasPrefix("nvme"), let target = try? folder.link(name) else { return nil }
            // The disk is a part of the controller: below it, not the controller itself.
            return SysfsPath(target: target, from: above).map { $0.components + [path.last ?? ""] }
        }
    }

    /// Reads /sys/class/net, of the network namespace that this sysfs was mounted in.
    mutating func readInterfaces(_ sys: borrowing Directory) {
        forEachLink(in: "class/net", sys) { use, name, path in
            let lower = ((try? names(in: path, sys)) ?? []).filter { $0.hasPrefix("lower_") }
            use.interfaces.append(
                NetworkInterface(name: name, path: path, lower: lower.map { String($0.dropFirst("lower_".count)) }))
        }
    }

    /// Reads the default routes, of process 1 where that can be seen.
    mutating func readRoutes(below root: String) {
        let prefix = root.hasSuffix("/") ? root : root + "/"
        let folders = ["proc/1/net", "proc/net"]
        guard let name = folders.first(where: { access(prefix + $0 + "/route", R_OK) == 0 }),
            let net = try? Directory(path: prefix + name), let routes = try? net.readAll("route")
        else {
            unknownInterfaces.append("the routes cannot be read from /proc/net/route")
            return
        }
        defaultInterfaces += RouteTable.defaultInterfaces(ofIPv4: routes)
        // There is none where IPv6 is switched off.
        if let routes = try? net.readAll("ipv6_route") {
            defaultInterfaces += RouteTable.defaultInterfaces(ofIPv6: routes)
        }
    }

    /// Reads the framebuffers, where the console is on one.
    mutating func readConsoles(_ sys: borrowing Directory) {
        var isOnFramebuffer = false
        forEachLink(in: "class/vtconsole", sys) { _, _, path in
            // "(M) frame buffer device"
            guard text("bind", in: path, sys) == "1", let name = text("name", in: path, sys) else { return }
            if name.hasSuffix("frame buffer device") { isOnFramebuffer = true }
        }
        guard isOnFramebuffer else { return }
        forEachLink(in: "class/graphics", sys) { use, name, path in
            if name.hasPrefix("fb"), name != "fbcon" { use.consoles.append(path) }
        }
    }

    private mutating func forEachLink(
        in folder: String, _ sys: borrowing Directory, _ body: (inout HostUse, String, [String]) -> Void
    ) {
        let base = folder.split(separator: "/").map { String($0) }
        do throws(SystemError) {
            let entries = try Directory(folder, below: sys)
            for name in try entries.names() {
                guard let target = try? entries.link(name), let path = SysfsPath(target: target, from: base) else {
                    continue
                }
                body(&self, name, path.components)
            }
        } catch {
            if error.isShortage { unlisted = "/sys/\(folder) cannot be listed: \(errorText(error.errno))" }
        }
    }
}

private func names(in path: [String], _ sys: borrowing Directory) throws(SystemError) -> [String] {
    try Directory(path.joined(separator: "/"), below: sys).names()
}

private func text(_ name: String, in path: [String], _ sys: borrowing Directory) -> String? {
    try? sys.text((path + [name]).joined(separator: "/"))
}

/// The numbers of all nodes of a device but those of vfio, which tell of being handed over and not of the host's use.
func nodes(ofDeviceAt path: [String], _ sys: borrowing Directory) -> Set<NodeNumber> {
    var found: Set<NodeNumber> = []
    guard let folder = try? Directory(path.joined(separator: "/"), below: sys) else { return found }
    var budget = 4096
    collectNodes(folder, &found, depth: 0, &budget)
    return found
}

private func collectNodes(
    _ folder: borrowing Directory, _ found: inout Set<NodeNumber>, depth: Int, _ budget: inout Int
) {
    guard depth < 24, budget > 0 else { return }
    budget -= 1
    var folders: [String] = []
    var hasNode = false
    try? folder.forEachEntry { name, type in
        if type == DT_REG, name.elementsEqual("dev".utf8) { hasNode = true }
        guard type == DT_DIR else { return }
        let name = String(decoding: name, as: UTF8.self)
        // Other functions have uses of their own.
        if name == "vfio-dev" || name == "power" || PCIAddress(name) != nil || HostBridgeID(name) != nil { return }
        folders.append(name)
    }
    if hasNode, let text = try? folder.text("dev") {
        let isBlock = (try? folder.linkName("subsystem")) == "block"
        if let number = NodeNumber(text, isBlock: isBlock) { found.insert(number) }
    }
    for name in folders {
        if let below = try? Directory(name, below: folder) { collectNodes(below, &found, depth: depth + 1, &budget) }
    }
}
