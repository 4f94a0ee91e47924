// The ways to hand devices over that the kernel has, and those it would have once modprobe has loaded vfio.

import Files
import Glibc
import Host
import Inventory
import PCI

extension LinuxHost {
    public func vfioInterfaces() async -> VFIOInterfaces {
        guard isWritable, let proc = try? Directory(path: joined("proc")) else { return [] }
        let drivers = characterDrivers(in: (try? proc.readAll("devices")) ?? [])
        // /sys/class/vfio-dev tells nothing: it is there without the nodes, too. The drivers' numbers are there only
        // with CONFIG_VFIO_GROUP and CONFIG_VFIO_DEVICE_CDEV (drivers/vfio/group.c, device_cdev.c).
        if drivers["vfio"] != nil || drivers["vfio-dev"] != nil {
            var found: VFIOInterfaces = []
            if drivers["vfio"] != nil, exists("dev/vfio/vfio") { found.insert(.legacy) }
            if drivers["vfio-dev"] != nil, exists("dev/iommu") { found.insert(.cdev) }
            return found
        }
        return loadableInterfaces()
    }

    private func loadableInterfaces() -> VFIOInterfaces {
        guard let release = kernelRelease(), let folder = try? Directory(path: joined("lib/modules/\(release.text)"))
        else { return [] }
        var modules: Set<String> = []
        for file in ["modules.dep", "modules.builtin"] {
            modules.formUnion(moduleNames(in: (try? folder.readAll(file)) ?? []))
        }
        guard modules.contains("vfio") else { return [] }
        var found: VFIOInterfaces = []
        if modules.contains("vfio_iommu_type1") || modules.contains("vfio_iommu_spapr_tce") { found.insert(.legacy) }
        // Whether vfio was built with cdevs is in its configuration alone, where a distribution ships that.
        let hasCdev = configuration(release).map { $0.contains("CONFIG_VFIO_DEVICE_CDEV=y") }
        if modules.contains("iommufd"), hasCdev ?? ((release.major, release.minor) >= (6, 6)) { found.insert(.cdev) }
        return found
    }

    private func configuration(_ release: KernelRelease) -> Set<String>? {
        for (folder, name) in [("boot", "config-\(release.text)"), ("lib/modules/\(release.text)", "config")] {
            guard let folder = try? Directory(path: joined(folder)), let bytes = try? folder.readAll(name) else {
                continue
            }
            let lines = bytes.split(separator: 0x0a).filter { $0.starts(with: "CONFIG_VFIO".utf8) }
            return Set(lines.map { String(decoding: $0, as: UTF8.self) })
        }
        return nil
    }

    private func exists(_ path: String) -> Bool { access(joined(path), F_OK) == 0 }
}

/// The character devices' drivers in /proc/devices, with their major numbers.
func characterDrivers(in bytes: [UInt8]) -> [String: UInt32] {
    var drivers: [String: UInt32] = [:]
    for line in bytes.split(separator: 0x0a) {
        if line.starts(with: "Block".utf8) { break }
        let words = line.split(separator: 0x20)
        if words.count == 2, let major = UInt32(String(decoding: words[0], as: UTF8.self)) {
            drivers[String(decoding: words[1], as: UTF8.self)] = major
        }
    }
    return drivers
}

/// The modules in modules.dep (`PATH.ko.xz: DEPENDENCIES`) or modules.builtin (`PATH.ko`), as the kernel spells them.
func moduleNames(in bytes: [UInt8]) -> Set<String> {
    var names: Set<String> = []
    for line in bytes.split(separator: 0x0a) {
        let path = line.prefix { $0 != UInt8(ascii: ":") }
        guard let file = path.split(separator: UInt8(ascii: "/")).last else { continue }
        let name = file.prefix { $0 != UInt8(ascii: ".") }.map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "_") : $0 }
        names.insert(String(decoding: name, as: UTF8.self))
    }
    return names
}
