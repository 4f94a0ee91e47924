// A sysfs tree made up by a test, with the files the kernel would have for it.

import Foundation
import Synchronization

/// Writes PCI functions, their links and kernel groups below `ROOT/sys`.
public final class SyntheticSysfs: Sendable {
    public let folder: TemporaryFolder
    private let paths = Mutex<[String: String]>([:])

    public var root: String { folder.path }

    /// In a fresh folder below another one; nil for the temporary directory.
    public init(below parent: String? = nil) {
        folder = TemporaryFolder("vfiogroupd-sysfs", below: parent)
        folder.makeFolder("sys/devices")
        folder.makeFolder("sys/bus/pci/devices")
    }

    /// The path of a function's folder below the root.
    public func path(of address: String) -> String { "sys/" + (paths.withLock { $0[address] } ?? "") }

    /// Adds a function below a host bridge (`pci0000:00`), a bridge's address, or any folder below sys.
    public func add(
        _ address: String, below parent: String, id: UInt32 = 0x8086_10d3, classCode: UInt32 = 0x020000,
        config: [UInt8]? = nil,
        driver: String? = nil, kernelGroup: Int? = nil, driverOverride: String? = "(null)"
    ) {
        let above = paths.withLock { $0[parent] } ?? (parent.hasPrefix("pci") ? "devices/\(parent)" : parent)
        let path = above + "/" + address
        paths.withLock { $0[address] = path }
        let files = "sys/" + path + "/"
        folder.write(files + "vendor", "0x" + String(format: "%04x", id >> 16) + "\n")
        folder.write(files + "device", "0x" + String(format: "%04x", id & 0xffff) + "\n")
        folder.write(files + "class", "0x" + String(format: "%06x", classCode) + "\n")
        folder.write(files + "revision", "0x01\n")
        folder.write(files + "numa_node", "-1\n")
        if let driverOverride { folder.write(files + "driver_override", driverOverride + "\n") }
        if let config { folder.write(files + "config", config) }
        let up = String(repeating: "../", count: path.split(separator: "/").count)
        if let driver { folder.link(files + "driver", to: up + "bus/pci/drivers/" + driver) }
        if let kernelGroup {
            folder.link(files + "iommu_group", to: up + "kernel/iommu_groups/\(kernelGroup)")
            folder.link(
                "sys/kernel/iommu_groups/\(kernelGroup)/devices/\(address)", to: "../../../../" + path)
        }
        folder.link("sys/bus/pci/devices/\(address)", to: "../../../" + path)
    }

    /// Adds a device of another bus.
    public func add(bus: String, name: String, driver: String? = nil, kernelGroup: Int) {
        let path = "devices/platform/\(name)"
        let files = "sys/" + path + "/"
        folder.makeFolder(files)
        folder.link(files + "subsystem", to: "../../../bus/\(bus)")
        folder.link(files + "iommu_group", to: "../../../kernel/iommu_groups/\(kernelGroup)")
        if let driver { folder.link(files + "driver", to: "../../../bus/\(bus)/drivers/\(driver)") }
        folder.link("sys/bus/\(bus)/devices/\(name)", to: "../../../" + path)
        folder.link("sys/kernel/iommu_groups/\(kernelGroup)/devices/\(name)", to: "../../../../" + path)
    }

    /// Writes a property of 32-bit cells into a node of the device tree (`/pciex@0`).
    public func property(_ name: String, of node: String, cells: UInt32...) {
        folder.write(
            "proc/device-tree\(node)/\(name)",
            cells.flatMap { cell in (0..<4).map { UInt8(cell >> (24 - 8 * $0) & 0xff) } })
    }

    /// Writes a property of strings into a node of the device tree.
    public func property(_ name: String, of node: String, strings: String...) {
        folder.write("proc/device-tree\(node)/\(name)", strings.flatMap { Array($0.utf8) + [0] })
    }

    /// Says where the device tree has a host bridge (`pci0000:00`).
    public func node(_ node: String, ofHostBridge bridge: String) {
        let bus = String(bridge.dropFirst(3))
        folder.link(
            "sys/devices/\(bridge)/pci_bus/\(bus)/of_node", to: "../../../../firmware/devicetree/base" + node)
    }

    /// Writes an attribute of a kernel group.
    public func kernelGroup(_ number: Int, _ attribute: String, _ text: String) {
        folder.write("sys/kernel/iommu_groups/\(number)/\(attribute)", text + "\n")
    }

    /// Makes a function what sysfs shows of a virtual one.
    public func virtual(_ address: String, number: Int, of physical: String) {
        let up = String(repeating: "../", count: 1)
        folder.link(path(of: address) + "/physfn", to: up + physical)
        folder.link(path(of: physical) + "/virtfn\(number)", to: up + address)
    }
}
