// Disks that the kernel itself offers to other machines: as a target of NVMe (nvmet) or of SCSI (LIO). It opens them
// without a holder in sysfs, nvmet without any claim at all, so that not even an exclusive open would find it
// (nvmet_bdev_ns_enable in drivers/nvme/target/io-cmd-bdev.c). What is exported stands in configfs.

import EventLoop
import Host

/// Something exported.
struct Export: Equatable, Sendable {
    /// By what, and under which name: "nvmet (nqn.2024-01.org.example:a, namespace 1)".
    var exporter: String
    var device: Device

    enum Device: Equatable, Sendable {
        /// A node or a file.
        case path(String)
        /// MAJOR:MINOR.
        case number(String)
        /// HOST:CHANNEL:TARGET:LUN, a device of SCSI.
        case scsi(String)
        /// It is not told in a way that is understood.
        case unknown
    }

    /// What LIO tells of a backstore in `info`: of iblock the number of its device, of pscsi its address, of fileio a
    /// file (the functions show_configfs_dev_params in drivers/target).
    static func device(ofBackstore info: [String], udevPath: String?) -> Device {
        let words = info.joined(separator: " ").split(separator: " ")
        func value(_ name: String) -> String? {
            let name = name.split(separator: " ")
            guard let range = words.runs(of: name).first, range.upperBound < words.endIndex else { return nil }
            return String(words[range.upperBound])
        }
        func number(_ name: String) -> String? { value(name).flatMap { $0.allSatisfy(\.isNumber) ? $0 : nil } }
        if let major = number("Major:"), let minor = number("Minor:"), major != "0" {
            return .number("\(major):\(minor)")
        }
        if let host = number("Host ID:"), let channel = number("Channel ID:"), let target = number("Target ID:"),
            let unit = number("LUN:")
        {
            return .scsi("\(host):\(channel):\(target):\(unit)")
        }
        if let path = udevPath, !path.isEmpty { return .path(path) }
        return value("File:").map { .path($0) } ?? .unknown
    }
}

extension Export {
    /// Reads what is exported; only what is enabled is open.
    @LoopActor static func all(_ sys: UseReader) -> [Export] { ofNVMe(sys) + ofSCSI(sys) }

    private static let configfs = ["kernel", "config"]

    /// drivers/nvme/target/configfs.c: a subsystem has namespaces, or one controller that it passes through.
    @LoopActor private static func ofNVMe(_ sys: UseReader) -> [Export] {
        let subsystems = configfs + ["nvmet", "subsystems"]
        return sys.names(subsystems).flatMap { subsystem in
            let folder = subsystems + [subsystem]
            let namespaces = sys.names(folder + ["namespaces"]).map { number in
                (folder + ["namespaces", number], "nvmet (\(subsystem), namespace \(number))")
            }
            let all = namespaces + [(folder + ["passthru"], "nvmet (\(subsystem), the whole controller)")]
            return all.compactMap { folder, exporter -> Export? in
                guard isEnabled(folder, sys) else { return nil }
                let path = sys.text("device_path", in: folder)
                return Export(exporter: exporter, device: path.map { .path($0) } ?? .unknown)
            }
        }
    }

    /// drivers/target/target_core_configfs.c: hosts of a kind, such as iblock_0, with the backstores below.
    @LoopActor private static func ofSCSI(_ sys: UseReader) -> [Export] {
        let core = configfs + ["target", "core"]
        var exports: [Export] = []
        for host in sys.names(core) where ["iblock_", "pscsi_", "fileio_"].contains(where: { host.hasPrefix($0) }) {
            for store in sys.names(core + [host]) {
                let folder = core + [host, store]
                guard isEnabled(folder, sys) else { continue }
                let info = sys.lines("info", in: folder)
                let device = device(ofBackstore: info, udevPath: sys.text("udev_path", in: folder))
                exports.append(Export(exporter: "LIO (\(host)/\(store))", device: device))
            }
        }
        return exports
    }

    @LoopActor private static func isEnabled(_ folder: [String], _ sys: UseReader) -> Bool {
        sys.text("enable", in: folder) == "1"
    }
}

extension BlockUses {
    /// Adds what is exported. What is no block device gets one that stands for it, so that it has a place in sysfs.
    @LoopActor mutating func addExports(_ facts: inout StorageFacts) {
        for export in Export.all(facts.sys) {
            let exporter = export.exporter
            switch export.device {
            case .number(let number):
                guard let block = facts.blocks.first(where: { $0.number == number }) else { continue }
                add(.exported(by: exporter, via: block.name), to: block.name)
            case .scsi(let address):
                addExport(exporter, address, facts.sys.link(address, in: ["bus", "scsi", "devices"]), &facts)
            case .path(let path):
                let name = path.split(separator: "/").last.map { String($0) } ?? path
                if let folder = facts.sys.link(name, in: ["class", "nvme"]) {
                    addExport(exporter, name, folder, &facts)
                } else {
                    add(at: path, facts.nodes, what: "which \(exporter) exports") { .exported(by: exporter, via: $0) }
                }
            case .unknown: addUnknown("it is not known which disk \(exporter) exports")
            }
        }
        // systemd mounts configfs with its first user, but a container may be without it.
        for (module, folder) in [("nvmet", "nvmet"), ("target_core_mod", "target")]
        where !facts.sys.names(["module", module]).isEmpty && facts.sys.names(["kernel", "config", folder]).isEmpty {
            addUnknown("\(module) is loaded, and what it exports cannot be seen: mount configfs at /sys/kernel/config")
        }
    }

    private mutating func addExport(
        _ exporter: String, _ name: String, _ folder: [String]?, _ facts: inout StorageFacts
    ) {
        guard let folder else { return }
        // A part of the device that it lies in: below it.
        facts.blocks.append(BlockDevice(name: name, paths: [folder]))
        add(.exported(by: exporter, via: name), to: name)
    }
}
