// The device tree of POWER (and others): folders for nodes, files of big-endian cells for properties.

import CLinux
import Files
import Glibc
import Inventory
import PCI

/// The tree below ROOT/proc/device-tree.
struct DeviceTree: ~Copyable {
    private let root: Directory

    /// Opens the tree; nil where the host has none. The kernel's own `/proc/device-tree` is an absolute link to
    /// /sys/firmware/devicetree/base, which in a captured tree must not lead to the reader's own machine.
    init?(below root: String) {
        let prefix = root.hasSuffix("/") ? root : root + "/"
        guard let proc = try? Directory(path: prefix + "proc") else { return nil }
        let path: String
        if let target = try? proc.link("device-tree") {
            path = target.hasPrefix("/") ? prefix + target.dropFirst() : prefix + "proc/" + target
        } else {
            path = prefix + "proc/device-tree"
        }
        guard let folder = try? Directory(path: path) else { return nil }
        self.root = folder
    }

    /// The names of the nodes directly below the root.
    var topNodes: [String] { ((try? root.names()) ?? []).filter { $0.utf8.contains(UInt8(ascii: "@")) } }

    /// A node by its path (`/pciex@600c3c0300000/pci@0`).
    func node(_ path: String) -> Directory? {
        let relative = path.drop { $0 == "/" }
        guard !relative.split(separator: "/").contains("..") else { return nil }
        return try? Directory(relative.isEmpty ? "." : String(relative), below: root)
    }
}

extension Directory {
    /// The 32-bit cells of a property; nil where it is missing or no row of cells.
    func cells(_ property: String) -> [UInt32]? {
        let bytes = try? read(property) { Array($0) }
        guard let bytes, bytes.count % 4 == 0 else { return nil }
        return stride(from: 0, to: bytes.count, by: 4).map { at in
            bytes[at..<(at + 4)].reduce(0) { $0 << 8 | UInt32($1) }
        }
    }

    /// The strings of a property such as `compatible`.
    func strings(_ property: String) -> [String] {
        ((try? read(property) { Array($0) }) ?? []).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }
}

extension Partitioning {
    /// What the node of a host bridge says; nil where it says nothing about PEs.
    init?(node: borrowing Directory) {
        let compatible = node.strings("compatible")
        if compatible.contains("ibm,p7ioc-pciex") {
            self = .p7ioc
        } else if compatible.contains(where: { $0.withCString { strstr($0, "npu") != nil } }) {
            // NVLink and OpenCAPI bridges make one PE for a link or a function, when it is enabled: not derivable.
            return nil
        } else if compatible.contains("IBM,Logical_PHB") {
            self = .logical
        } else if node.cells("ibm,opal-num-pes") != nil
            || compatible.contains(where: { $0.hasPrefix("ibm,ioda") })
        {
            self = .ioda(EndpointNumbers(node: node))
        } else if node.cells("ibm,dma-window") != nil {
            self = .logical
        } else {
            return nil
        }
    }
}

extension EndpointNumbers {
    fileprivate init(node: borrowing Directory) {
        // A PE number has 16 bits at the most; a node that says more is not believed.
        func number(_ property: String) -> Int? {
            node.cells(property)?.first.flatMap { $0 <= 1 << 16 ? Int($0) : nil }
        }
        var window: M64Window?
        if let cells = node.cells("ibm,opal-m64-window"), cells.count >= 6 {
            // pci-hi,lo cpu-hi,lo size-hi,lo
            window = M64Window(
                start: UInt64(cells[2]) << 32 | UInt64(cells[3]), size: UInt64(cells[4]) << 32 | UInt64(cells[5]))
        }
        self.init(
            count: number("ibm,opal-num-pes") ?? 1, reserved: number("ibm,opal-reserved-pe") ?? 0, window: window)
    }
}
