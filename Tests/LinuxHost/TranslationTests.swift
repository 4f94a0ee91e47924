// What is read of IOMMUs and slots, and that a snapshot carries it.

import EventLoop
import GroupAPI
import HostSnapshot
import Inventory
import JSON
import Testing
import TestSupport

@testable import LinuxHost

@Suite("Translation", .timeLimit(.minutes(15)))
struct TranslationTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("widths of IOMMUs come from their registers")
    func widths() {
        #expect(TranslationUnit.intelAddressWidth(capability: 0xd2_008c_2226_0286) == 39)
        // SAGAW of 39 and 48 bits, MGAW of 48.
        #expect(TranslationUnit.intelAddressWidth(capability: 47 << 16 | 0b110 << 8) == 48)
        #expect(TranslationUnit.intelAddressWidth(capability: 38 << 16 | 0b110 << 8) == 39)
        #expect(TranslationUnit.intelAddressWidth(capability: 47 << 16) == nil)
        #expect(TranslationUnit.amdAddressWidth(extendedFeatures: 0x29d3) == 64)
        #expect(TranslationUnit.amdAddressWidth(extendedFeatures: 0) == 48)
        #expect(TranslationUnit.amdAddressWidth(extendedFeatures: 3 << 10) == nil)
    }

    @Test("the captures' IOMMUs are read")
    @LoopActor func captures() async throws {
        func units(_ name: String) async throws -> [TranslationUnit] {
            try await LinuxHost(root: try #require(Capture.named(name)).root).readInventory().translationUnits
        }
        #expect(
            try await units("q35-intel-rich") == [
                TranslationUnit(name: "dmar0", addressWidth: 39, source: "intel-iommu/cap")
            ])
        #expect(
            try await units("q35-amd-small") == [
                TranslationUnit(name: "ivhd0", addressWidth: 64, source: "amd-iommu/features")
            ])
        #expect(try await units("powernv9-a").isEmpty)
    }

    @Test("all of it comes back from a snapshot", arguments: Capture.own)
    @LoopActor func roundTrip(capture: Capture) async throws {
        let inventory = try await LinuxHost(root: capture.root).readInventory()
        let replayed = try Inventory.replaying(inventory)
        #expect(replayed.translationUnits == inventory.translationUnits)
        #expect(replayed.slots == inventory.slots)
        #expect(replayed.hostBridges.map(\.tables) == inventory.hostBridges.map(\.tables))
        #expect(!inventory.translationUnits.isEmpty || inventory.hostBridges.contains { $0.tables != nil })
    }

    @Test("reset methods are read as they stand, and a device without the file has none since 5.15")
    @LoopActor func resets() throws {
        let sysfs = SyntheticSysfs()
        sysfs.add("0000:00:01.0", below: "pci0000:00")
        sysfs.add("0000:00:02.0", below: "pci0000:00")
        sysfs.folder.write(sysfs.path(of: "0000:00:01.0") + "/reset_method", "flr pm bus\n")
        let host = LinuxHost(root: sysfs.root)
        func methods(_ address: String) throws -> [String]? {
            host.resetMethods(of: try #require(DeviceAddress(bus: "pci", name: address)))
        }
        #expect(try methods("0000:00:01.0") == ["flr", "pm", "bus"])
        #expect(try methods("0000:00:02.0") == nil)
        sysfs.folder.write("proc/version", "Linux version 6.12.0 (x@y) #1\n")
        #expect(try methods("0000:00:02.0") == [])
        #expect(try methods("0000:00:03.0") == nil)
    }

    @Test("nothing that names one machine or one person gets into a snapshot")
    @LoopActor func stripped() async throws {
        let secrets = [
            "52:54:00:aa:bb:cc", "525400aabbcc", "S3RIALNUMB3R", "0f1e2d3c4b5a6978", "9e107d9d-372b", "secrethost",
        ]
        var config = ConfigBuilder(size: 4096)
        config.capabilityList(at: 0x40)
        config.express(at: 0x40, type: 0)
        // A Device Serial Number capability (PCI Express 7.9.3) with 0f1e2d3c4b5a6978.
        config.bytes.replaceSubrange(
            0x100..<0x10c, with: [3, 0, 1, 0, 0x78, 0x69, 0x5a, 0x4b, 0x3c, 0x2d, 0x1e, 0x0f])
        let sysfs = SyntheticSysfs()
        sysfs.add("0000:00:01.0", below: "pci0000:00", config: config.bytes, driver: "e1000e", kernelGroup: 1)
        let folder = sysfs.path(of: "0000:00:01.0")
        for (file, text) in [
            ("net/eth0/address", secrets[0]), ("nvme/nvme0/serial", secrets[2]), ("vpd", secrets[2]),
            ("serial_number", secrets[3]), ("unique_id", secrets[1]), ("label", secrets[5]),
        ] {
            sysfs.folder.write(folder + "/" + file, text + "\n")
        }
        sysfs.folder.write("sys/class/dmi/id/product_uuid", secrets[4] + "\n")
        sysfs.folder.write("proc/sys/kernel/hostname", secrets[5] + "\n")
        sysfs.folder.write("proc/version", "Linux version 6.12.0 (x@\(secrets[5])) #1\n")
        sysfs.folder.write(
            "proc/cmdline", "root=UUID=\(secrets[4]) ip=\(secrets[0]) intel_iommu=on hostname=\(secrets[5])\n")
        let inventory = try await LinuxHost(root: sysfs.root).readInventory()
        #expect(inventory.devices.count == 1 && inventory.commandLine?.parameters == ["intel_iommu=on"])
        var writer = JSONWriter()
        inventory.snapshot().write(to: &writer)
        let text = String(decoding: writer.bytes, as: UTF8.self)
        for secret in secrets { #expect(!text.contains(secret), "\(secret)") }
        // The bytes as numbers, too.
        #expect(!text.contains("1089419519") && !text.contains("\(0x0f1e_2d3c_4b5a_6978 as UInt64)"))
    }
}
