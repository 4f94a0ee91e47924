// Which drivers were made for handing over one kind of device: modules.alias names them with `vfio_pci:` where it says
// `pci:` for host drivers (Documentation/driver-api/vfio.rst, MODULE_DEVICE_TABLE of PCI_DRIVER_OVERRIDE_DEVICE_VFIO).

import Files
import Glibc
import Inventory
import PCI

/// The aliases `vfio_pci:` of the modules of a kernel, loadable and built in.
struct VariantAliases: Equatable, Sendable {
    /// A pattern of shell wildcards, and the module that it stands for.
    struct Alias: Equatable, Sendable {
        var pattern: String
        var module: String
    }

    var aliases: [Alias] = []
    /// Which files it was read from, to be read again when they are others.
    var stamp: [FileStamp] = []

    /// Adds `alias PATTERN MODULE` lines (modules.alias of depmod).
    mutating func read(aliasFile bytes: some Collection<UInt8>) {
        for line in bytes.split(separator: 0x0a) where line.starts(with: "alias vfio_pci:".utf8) {
            let words = line.split(separator: 0x20)
            guard words.count == 3 else { continue }
            aliases.append(
                Alias(
                    pattern: String(decoding: words[1], as: UTF8.self),
                    module: String(decoding: words[2], as: UTF8.self)))
        }
    }

    /// Adds `MODULE.alias=PATTERN` strings, each ended by NUL (modules.builtin.modinfo of the kernel's build).
    mutating func read(builtInInformation bytes: some Collection<UInt8>) {
        for field in bytes.split(separator: 0) {
            guard let dot = field.firstIndex(of: UInt8(ascii: ".")) else { continue }
            let value = field[field.index(after: dot)...]
            guard value.starts(with: "alias=vfio_pci:".utf8) else { continue }
            aliases.append(
                Alias(
                    pattern: String(decoding: value.dropFirst("alias=".utf8.count), as: UTF8.self),
                    module: String(decoding: field[..<dot], as: UTF8.self)))
        }
    }

    /// The module for a device with this `modalias` (`pci:v00008086d...`); nil for vfio-pci's own, which takes any. Of
    /// several the one that says most, as libvirt chooses.
    func module(forModalias modalias: String) -> String? {
        guard modalias.hasPrefix("pci:") else { return nil }
        let text = "vfio_" + modalias
        let best = aliases.filter { fnmatch($0.pattern, text, 0) == 0 }.min { $0.wildcards < $1.wildcards }
        return best.flatMap { $0.module == "vfio_pci" || $0.module == "vfio-pci" ? nil : $0.module }
    }
}

extension VariantAliases.Alias {
    fileprivate var wildcards: Int { pattern.utf8.count { $0 == UInt8(ascii: "*") } }
}

/// What tells a file from the one that was there before.
struct FileStamp: Equatable, Sendable {
    private var inode: UInt64
    private var size: Int64
    private var seconds: Int
    private var nanoseconds: Int

    /// The file below a folder; nil where there is none.
    init?(_ name: String, below folder: borrowing Directory) {
        var status = stat()
        guard fstatat(folder.descriptor, name, &status, 0) == 0 else { return nil }
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        seconds = status.st_mtim.tv_sec
        nanoseconds = status.st_mtim.tv_nsec
    }
}

extension LinuxHost {
    /// Once its module is loaded, the driver is known by name. Before, the module's name stands for it: only pds-vfio-pci
    /// is spelled otherwise than its module, so ask again after loading.
    public func variantDriver(of device: DeviceAddress) async -> String? {
        guard isWritable, let folder = try? Directory(path: folder(of: device)),
            let modalias = try? folder.text("modalias"),
            let module = currentVariantAliases().module(forModalias: modalias)
        else { return nil }
        let drivers = (try? Directory(path: joined("sys/module/\(module)/drivers")).names()) ?? []
        let name = drivers.first { $0.hasPrefix("pci:") }.map { String($0.dropFirst("pci:".count)) }
        return name ?? (module == "pds_vfio_pci" ? "pds-vfio-pci" : module)
    }

    private func currentVariantAliases() -> VariantAliases {
        guard let release = kernelRelease()?.text,
            let folder = try? Directory(path: joined("lib/modules/\(release)"))
        else { return VariantAliases() }
        let files = ["modules.alias", "modules.builtin.modinfo"]
        let stamp = files.compactMap { FileStamp($0, below: folder) }
        if let variantAliases, variantAliases.stamp == stamp { return variantAliases }
        var aliases = VariantAliases(stamp: stamp)
        if let bytes = try? folder.readAll(files[0]) { aliases.read(aliasFile: bytes) }
        if let bytes = try? folder.readAll(files[1]) { aliases.read(builtInInformation: bytes) }
        variantAliases = aliases
        return aliases
    }
}
