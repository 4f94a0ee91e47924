// What the device tree adds to a scan on POWER: how each host bridge makes PEs, and what is needed to follow it.

import Files
import Glibc
import Inventory
import PCI

extension SysfsScan {
    /// Where the device tree puts a function: the path of its node, from `of_node` or `devspec`.
    struct NodePath {
        private static let base = ["firmware", "devicetree", "base"]

        /// The path, beginning with a slash.
        let text: String

        init?(_ folder: borrowing Directory, at path: [String]) {
            if let target = try? folder.link("of_node"),
                let components = SysfsPath(target: target, from: path)?.components, components.starts(with: Self.base)
            {
                text = "/" + components.dropFirst(Self.base.count).joined(separator: "/")
            } else if let devspec = try? folder.text("devspec"), devspec.hasPrefix("/") {
                text = devspec
            } else {
                return nil
            }
        }

        /// The node directly below the root that it is in.
        var top: String { "/" + (text.split(separator: "/").first ?? "") }

        /// This path and those above it, the deepest first.
        var ancestors: [String] {
            let parts = text.split(separator: "/")
            return stride(from: parts.count, to: 0, by: -1).map { "/" + parts[..<$0].joined(separator: "/") }
        }
    }

    /// Reads what the device tree says about the host bridges that were found, and from their functions what PEs
    /// depend on.
    mutating func scanDeviceTree(_ tree: borrowing DeviceTree, _ sys: borrowing Directory) {
        let memoryEnd = tree.memoryEnd
        for id in hostBridges.keys {
            guard let path = hostBridgeFolders[id], let nodePath = hostBridgeNode(id, at: path, tree, sys),
                let node = tree.node(nodePath)
            else { continue }
            guard let partitioning = Partitioning(node: node) else { continue }
            hostBridges[id]?.partitioning = partitioning
            hostBridges[id]?.tables = TranslationTables(node: node, partitioning, memoryEnd: memoryEnd)
        }
        for index in devices.indices {
            guard var function = devices[index].pci,
                let partitioning = hostBridges[function.hostBridge]?.partitioning,
                let path = functionFolders[devices[index].address],
                let folder = try? Directory(path.joined(separator: "/"), below: sys)
            else { continue }
            switch partitioning {
            case .ioda(let numbers):
                function.partitionableEndpoint = endpointNumber(folder, devices[index].address)
                if numbers.window != nil {
                    function.resources = (try? folder.text("resource")).flatMap { Resource.list($0) }
                }
            case .p7ioc:
                function.partitionableEndpoint = endpointNumber(folder, devices[index].address)
            case .logical:
                function.windowNode = NodePath(folder, at: path)?.ancestors.first { ancestor in
                    guard let node = tree.node(ancestor) else { return false }
                    return node.cells(NodeWindow.Property.fixed.rawValue) != nil
                }
                if let owner = function.windowNode { addWindows(of: owner, tree, function.hostBridge) }
            }
            devices[index].kind = .pci(function)
        }
    }

    /// Adds the windows of a node to what is known of its host bridge, once.
    private mutating func addWindows(of path: String, _ tree: borrowing DeviceTree, _ bridge: HostBridgeID) {
        var tables = hostBridges[bridge]?.tables ?? TranslationTables()
        guard !tables.windows.contains(where: { $0.node == path }), let node = tree.node(path) else { return }
        tables.windows += NodeWindow.windows(of: path, node)
        hostBridges[bridge]?.tables = tables
    }

    /// `eeh_pe_config_addr`, which on this platform is the PE number (pnv_eeh_probe, platforms/powernv/eeh-powernv.c).
    private mutating func endpointNumber(_ folder: borrowing Directory, _ device: DeviceAddress) -> Int? {
        guard let text = try? folder.text("eeh_pe_config_addr") else { return nil }
        guard text.hasPrefix("0x"), let number = unsignedInteger(text.utf8.dropFirst(2), radix: 16),
            number < 1 << 16
        else {
            warn("its attribute eeh_pe_config_addr holds no PE number", device: device)
            return nil
        }
        return Int(number)
    }

    /// The node of a host bridge: that of its root bus; where the bus has no link, the one its functions lie in; where
    /// they have none, the one whose `ibm,opal-phbid` is the domain.
    private func hostBridgeNode(
        _ id: HostBridgeID, at path: [String], _ tree: borrowing DeviceTree, _ sys: borrowing Directory
    ) -> String? {
        let bus = String(id.description.dropFirst(3))
        let busPath = path + ["pci_bus", bus]
        if let folder = try? Directory(busPath.joined(separator: "/"), below: sys),
            let node = NodePath(folder, at: busPath)
        {
            return node.text
        }
        for device in devices where device.pci?.hostBridge == id {
            guard let path = functionFolders[device.address],
                let folder = try? Directory(path.joined(separator: "/"), below: sys),
                let node = NodePath(folder, at: path)
            else { continue }
            return node.top
        }
        for name in tree.topNodes {
            guard let node = tree.node(name), let cells = node.cells("ibm,opal-phbid"), cells.count == 2 else {
                continue
            }
            if UInt64(cells[0]) << 32 | UInt64(cells[1]) == UInt64(id.domain) { return "/" + name }
        }
        return nil
    }
}
