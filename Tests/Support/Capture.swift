// Captures of machines: our own QEMU captures in Tests/Fixtures/captures, trees of made-up machines, and where the
// developers' shared folder is there, the captures of real machines in it, which are not ours to publish.

import Foundation

/// A capture, unpacked once a process.
public struct Capture: CustomStringConvertible, Sendable {
    /// Its name.
    public let name: String
    /// The folder that `sys/` lies in.
    public let root: String
    public var description: String { name }

    /// The captures that the repository holds.
    public static let own: [Capture] = unpack(
        in: URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fixtures/captures").path)

    /// The trees of all made-up machines, as a capture would have them.
    public static let synthetic: [Capture] = trees.map { Capture(name: $0.machine.name, root: $0.tree.root) }

    private static let trees = SyntheticMachine.all.map { machine in
        (machine: machine, tree: machine.written(below: unpackedFolder.path))
    }

    /// Where the developers have captures of real machines: in `shared`, beside the checkout.
    static let realFolder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared/captures/real").path

    /// The developers' captures of real machines; empty where they are not at hand.
    static let real: [Capture] = unpack(in: realFolder)

    /// All that there are. A test of these has the trait `.realCaptures`, which tells when there are no real ones.
    public static let all: [Capture] = own + synthetic + real

    /// One of the repository's own, or the tree of a made-up machine.
    public static func named(_ name: String) -> Capture? { (own + synthetic).first { $0.name == name } }

    private static let unpackedFolder: TemporaryFolder = {
        // A static is never released, so that its deinit would not remove the folder.
        atexit { try? FileManager.default.removeItem(atPath: Capture.unpackedFolder.path) }
        return TemporaryFolder("vfiogroupd-captures")
    }()

    private static func unpack(in folder: String) -> [Capture] {
        let archives = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
            .filter { $0.hasSuffix(".tar.gz") }.sorted()
        return archives.compactMap { archive in
            let tar = try? Program("/usr/bin/env", ["tar", "xzf", folder + "/" + archive, "-C", unpackedFolder.path])
            guard tar?.wait() == 0 else { return nil }
            let name = String(archive.dropLast(".tar.gz".count))
            let folder = unpackedFolder.path + "/" + name
            // A POWER capture has the machine at several moments: after boot is the one that is looked at.
            let boot = folder + "/boot"
            let root = FileManager.default.fileExists(atPath: boot + "/sys") ? boot : folder
            return Capture(name: name, root: root)
        }
    }

    /// A copy of the tree without the files and links of these names (`*` at the end stands for anything), as an older
    /// kernel or a poorer platform would show it.
    public func hiding(_ names: String...) throws -> TemporaryFolder {
        let folder = TemporaryFolder("vfiogroupd-hidden")
        let selection = names.map { "-name '\($0)'" }.joined(separator: " -o ")
        let copy = try Program(
            "/bin/sh",
            [
                "-c",
                "cp -a '\(root)/.' '\(folder.path)' "
                    + "&& find '\(folder.path)' -depth \\( \(selection) \\) -exec rm -rf {} +",
            ])
        guard copy.wait() == 0 else { throw Program.Failure(description: copy.complained) }
        return folder
    }

    /// What the capture says of itself in `expected.json`, beside its tree.
    public var expected: Data? {
        try? Data(
            contentsOf: URL(fileURLWithPath: root).deletingLastPathComponent().appendingPathComponent("expected.json"))
    }

    /// The kernel's partition, read without the program's own code: sets of addresses, by group number.
    public var kernelGroups: [Int: Set<String>] {
        let folder = root + "/sys/kernel/iommu_groups"
        var groups: [Int: Set<String>] = [:]
        for number in ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).compactMap({ Int($0) }) {
            groups[number] = Set(
                (try? FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(number)/devices")) ?? [])
        }
        return groups
    }

    /// The addresses of all PCI functions, read without the program's own code.
    public var addresses: Set<String> {
        Set((try? FileManager.default.contentsOfDirectory(atPath: root + "/sys/bus/pci/devices")) ?? [])
    }

    /// The bytes of a function's configuration space, none where they are not there.
    public func config(of address: String) -> [UInt8] {
        (try? Data(contentsOf: URL(fileURLWithPath: root + "/sys/bus/pci/devices/\(address)/config"))).map { Array($0) }
            ?? []
    }

    /// The names of all host bridges, read without the program's own code.
    public var hostBridges: Set<String> {
        Set(
            ((try? FileManager.default.contentsOfDirectory(atPath: root + "/sys/devices")) ?? [])
                .filter { $0.hasPrefix("pci") })
    }
}
