// One reading of a host's sysfs. The tree may change under the reader: a folder that vanishes in the middle is normal,
// and its subtree is read again from the folder above.

import EventLoop
import Files
import Glibc
import Inventory
import PCI

/// Gathers an inventory from a sysfs tree, the live one or a captured one.
struct SysfsScan {
    /// The tree changed while a subtree was read: read it again.
    struct Vanished: Error {}

    /// An attribute that waits for the device lock, to be read by a worker.
    struct LockedAttribute {
        /// Where its device lies in `devices`.
        var position: Int
        /// The file, relative to the sysfs root.
        var path: String
    }

    /// What a scan can keep of the last one: configuration space does not change while a device stays, and reading it
    /// wakes the device up (pci_config_pm_runtime_get, drivers/pci/pci-sysfs.c).
    struct Remembered {
        /// The folder's inode: sysfs never gives a removed device's to its successor while it runs.
        var inode: UInt64
        var config: ConfigReading
    }

    /// What a configuration space said. Functions of a kind say the same, and share one.
    final class ConfigReading: Sendable {
        let capabilities: FunctionCapabilities
        let identification: PCIFunction.Identification
        let warnings: [ConfigWarning]

        init(_ config: ConfigSpace, capabilities: FunctionCapabilities, warnings: [ConfigWarning]) {
            self.capabilities = capabilities
            identification = PCIFunction.Identification(config)
            self.warnings = warnings
        }

        func says(the same: ConfigReading) -> Bool {
            capabilities == same.capabilities && identification == same.identification && warnings == same.warnings
        }
    }

    /// How often a subtree that keeps changing is read again before it is taken as it is.
    static let attempts = 3

    var devices: [Device] = []
    var hostBridges: [HostBridgeID: HostBridge] = [:]
    var kernelGroups: [KernelGroup] = []
    var translationUnits: [TranslationUnit] = []
    var slots: [Slot] = []
    var warnings: [InventoryWarning] = []
    var lockedAttributes: [LockedAttribute] = []
    /// The addresses of `devices`, so that a second way to the same one is not taken. Kept beside them, and not copied
    /// into marks: a mark a function would make a scan take the square of its devices' number.
    var seen = Set<DeviceAddress>()
    var remembered: [PCIAddress: Remembered] = [:]
    /// The last different ones, to be shared.
    var recentConfigs: [ConfigReading] = []
    /// Where the folders lie, below the sysfs root.
    var hostBridgeFolders: [HostBridgeID: [String]] = [:]
    var functionFolders: [DeviceAddress: [String]] = [:]
    /// Whether the paths of functions are wanted: only what the device tree adds needs them.
    let keepsFolders: Bool
    let previous: [PCIAddress: Remembered]

    /// `previous` is what the last scan of the same tree remembered.
    init(previous: [PCIAddress: Remembered] = [:], keepsFolders: Bool = false) {
        self.previous = previous
        self.keepsFolders = keepsFolders
    }

    /// Reads everything but the locked attributes. Others have their turn in between: a large machine takes half a
    /// second.
    @LoopActor mutating func scan(_ sys: borrowing Directory) async {
        await scanHostBridges(sys)
        scanStrayFunctions(sys)
        scanKernelGroups(sys)
        scanOtherBuses(sys)
        scanTranslationUnits(sys)
        scanSlots(sys)
        finishFunctions()
    }

    /// What was read, as an inventory.
    func inventory(
        kernel: KernelRelease?, commandLine: KernelCommandLine?, interrupts: InterruptRemapping?
    ) -> Inventory {
        Inventory(
            kernel: kernel, commandLine: commandLine, interrupts: interrupts, hostBridges: Array(hostBridges.values),
            devices: devices,
            kernelGroups: kernelGroups, translationUnits: translationUnits, slots: slots, warnings: warnings)
    }

    mutating func warn(_ message: String, device: DeviceAddress? = nil, offset: Int? = nil) {
        warnings.append(InventoryWarning(device: device, offset: offset, message: message))
    }
}

extension SysfsScan {
    /// Finds the folders of all host bridges and reads what lies below. They may lie anywhere in /sys/devices (on ARM
    /// below a platform device), so the targets of the links in bus/pci/devices and class/pci_bus tell where.
    @LoopActor private mutating func scanHostBridges(_ sys: borrowing Directory) async {
        var folders: [HostBridgeID: [String]] = [:]
        for name in (try? Directory("devices", below: sys).names()) ?? [] {
            if let id = HostBridgeID(name) { folders[id] = ["devices", name] }
        }
        for links in [["bus", "pci", "devices"], ["class", "pci_bus"]] {
            guard let folder = try? Directory(links.joined(separator: "/"), below: sys) else { continue }
            for name in (try? folder.names()) ?? [] {
                guard let target = try? folder.link(name), let path = SysfsPath(target: target, from: links),
                    let found = path.hostBridge, folders[found.id] == nil
                else { continue }
                folders[found.id] = found.folder
            }
        }
        for (id, path) in folders.sorted(by: { $0.key < $1.key }) {
            guard let folder = try? Directory(path.joined(separator: "/"), below: sys),
                let contents = try? FunctionFolder(folder),
                let position = begin(id, at: path, parent: nil)
            else { continue }
            for address in contents.functions {
                scanSubtree(address, folder, position)
                await EventLoop.main.yield()
            }
        }
    }

    /// Notes a host bridge; nil when it was met before.
    private mutating func begin(_ id: HostBridgeID, at path: [String], parent: PCIAddress?) -> Position? {
        guard hostBridges[id] == nil else { return nil }
        hostBridges[id] = HostBridge(id: id, parent: parent)
        hostBridgeFolders[id] = path
        return Position(hostBridge: id, parent: nil, path: path)
    }

    /// Reads a host bridge below a device, as Intel VMD has it.
    mutating func scanNested(
        _ id: HostBridgeID, below parent: PCIAddress, _ folder: borrowing Directory, at path: [String]
    ) throws(Vanished) {
        guard let contents = try? FunctionFolder(folder) else { throw Vanished() }
        guard let position = begin(id, at: path, parent: parent) else { return }
        for address in contents.functions { scanSubtree(address, folder, position) }
    }

    /// Functions that bus/pci/devices lists and no host bridge's folder led to: captures that kept the list but not
    /// the tree, and devices that came while the tree was read. They are read from the highest ancestor that is not
    /// known, so that no device is without the bridges above it.
    private mutating func scanStrayFunctions(_ sys: borrowing Directory) {
        let list = ["bus", "pci", "devices"]
        guard let folder = try? Directory(list.joined(separator: "/"), below: sys) else { return }
        for name in (try? folder.names()) ?? [] {
            guard let address = PCIAddress(name), !seen.contains(.pci(address)) else { continue }
            let target = (try? folder.link(name)).flatMap { SysfsPath(target: $0, from: list) }
            scanStray(address, at: target?.components ?? list + [name], sys)
        }
    }

    private mutating func scanStray(_ stray: PCIAddress, at path: [String], _ sys: borrowing Directory) {
        let unknown = path.firstIndex { component in
            PCIAddress(component).map { !seen.contains(.pci($0)) } ?? false
        }
        guard let unknown, let address = PCIAddress(path[unknown]) else { return }
        let above = Array(path[..<unknown])
        let id = above.lazy.compactMap { HostBridgeID($0) }.last ?? lowestRoot(ofDomain: stray.domain, sys)
        let position = Position(hostBridge: id, parent: above.last.flatMap { PCIAddress($0) }, path: above)
        guard let folder = try? Directory(above.joined(separator: "/"), below: sys) else { return }
        scanSubtree(address, folder, position)
        if seen.contains(.pci(address)), hostBridges[id] == nil { hostBridges[id] = HostBridge(id: id) }
    }

    /// What a function sits below when no path tells: of the buses that its domain is known to have, the lowest must be
    /// a root, and taking no other for one keeps together what may belong together.
    private func lowestRoot(ofDomain domain: UInt32, _ sys: borrowing Directory) -> HostBridgeID {
        if let known = hostBridges.keys.filter({ $0.domain == domain }).min() { return known }
        let names = (try? Directory("bus/pci/devices", below: sys).names()) ?? []
        let buses = names.compactMap { PCIAddress($0) }.filter { $0.domain == domain }.map(\.bus)
        return HostBridgeID(domain: domain, bus: buses.min() ?? 0)
    }

    /// The state of the scan before a subtree, for reading that subtree again.
    func mark() -> Mark {
        Mark(
            devices: devices.count, warnings: warnings.count, locked: lockedAttributes.count, hostBridges: hostBridges)
    }

    mutating func rewind(to mark: Mark) {
        for device in devices[mark.devices...] { seen.remove(device.address) }
        devices.removeSubrange(mark.devices...)
        warnings.removeSubrange(mark.warnings...)
        lockedAttributes.removeSubrange(mark.locked...)
        hostBridges = mark.hostBridges
    }

    struct Mark {
        var devices: Int
        var warnings: Int
        var locked: Int
        var hostBridges: [HostBridgeID: HostBridge]
    }

    /// Where in the hierarchy a function is met.
    struct Position {
        var hostBridge: HostBridgeID
        var parent: PCIAddress?
        /// The folder's path below the sysfs root.
        var path: [String]
    }
}
