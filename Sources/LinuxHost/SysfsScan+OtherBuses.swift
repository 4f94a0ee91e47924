// Devices of other buses that an IOMMU translates for.

import Files
import Glibc
import Inventory
import PCI

extension SysfsScan {
    /// The buses whose devices are known to be given kernel groups. The list of a kernel group names every device; this
    /// is for trees that have the links and not the lists.
    private static let busesWithGroups = ["platform", "amba", "fsl-mc", "cdx", "ap", "ccw", "mdev"]

    mutating func scanOtherBuses(_ sys: borrowing Directory) {
        var known = Set(kernelGroups.map(\.number))
        for bus in Self.busesWithGroups {
            let list = ["bus", bus, "devices"]
            guard let folder = try? Directory(list.joined(separator: "/"), below: sys) else { continue }
            for name in (try? folder.names()) ?? [] {
                guard let link = try? folder.linkName("\(name)/iommu_group"), let number = decimal(link),
                    !seen.contains(.other(bus: bus, name: name))
                else { continue }
                let path = (try? folder.link(name)).flatMap { SysfsPath(target: $0, from: list)?.components }
                scanOtherDevice(name, at: path ?? list + [name], inKernelGroup: number, sys)
                if known.insert(number).inserted { kernelGroups.append(KernelGroup(number: number)) }
            }
        }
    }

    /// Adds a device that is no PCI function. `path` is its folder below the sysfs root, where that is known.
    mutating func scanOtherDevice(
        _ name: String, at path: [String]?, inKernelGroup number: Int, _ sys: borrowing Directory
    ) {
        var bus: String?
        var device = Device(address: .other(bus: "unknown", name: name), kind: .other, kernelGroup: number)
        if let path, let folder = try? Directory(path.joined(separator: "/"), below: sys) {
            bus = try? folder.linkName("subsystem")
            device.driver = try? folder.linkName("driver")
            device.iommu = try? folder.linkName("iommu")
            device.numaNode = (try? folder.text("numa_node")).flatMap(decimal)
        }
        guard let bus = bus ?? busListing(name, sys) else {
            warn("kernel group \(number) lists the device \(name), but its bus cannot be found")
            if seen.insert(device.address).inserted { devices.append(device) }
            return
        }
        device.address = .other(bus: bus, name: name)
        guard seen.insert(device.address).inserted else { return }
        devices.append(device)
        if let path {
            lockedAttributes.append(
                LockedAttribute(
                    position: devices.count - 1, path: (path + ["driver_override"]).joined(separator: "/")))
        }
    }

    /// The bus whose list has a device of this name.
    private func busListing(_ name: String, _ sys: borrowing Directory) -> String? {
        guard let buses = try? Directory("bus", below: sys) else { return nil }
        return ((try? buses.names()) ?? []).first { bus in
            var status = stat()
            return fstatat(buses.descriptor, "\(bus)/devices/\(name)", &status, AT_SYMLINK_NOFOLLOW) == 0
        }
    }
}
