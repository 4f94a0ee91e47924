// The early helper of reservations, run by the shells that it meets: dash, and busybox in an initramfs.

import Foundation
import Testing
import TestSupport

@Suite struct ReservationHelperTests {
    /// A shell that is here, and its first arguments.
    struct Shell: Sendable, CustomTestStringConvertible {
        var path: String
        var arguments: [String] = []
        var testDescription: String { ([path] + arguments).joined(separator: " ") }

        static let all: [Shell] = [
            Shell(path: "/bin/dash"), Shell(path: "/bin/busybox", arguments: ["sh"]),
            Shell(path: "/bin/bash", arguments: ["--posix"]),
        ].filter {
            if access($0.path, X_OK) == 0 { return true }
            print("SKIPPED: the early helper in \($0.testDescription), because it is not installed")
            return false
        }
    }

    /// A card of two functions behind a root port, and a network card behind another.
    let sysfs = SyntheticSysfs()
    let list = TemporaryFolder()

    init() {
        sysfs.add("0000:00:01.0", below: "pci0000:00", classCode: 0x060400, driver: "pcieport", kernelGroup: 1)
        sysfs.folder.write(sysfs.path(of: "0000:00:01.0") + "/secondary_bus_number", "1\n")
        sysfs.add("0000:01:00.0", below: "0000:00:01.0", classCode: 0x030000, kernelGroup: 1)
        sysfs.add("0000:01:00.1", below: "0000:00:01.0", classCode: 0x040300, kernelGroup: 1)
        sysfs.add("0000:00:1c.0", below: "pci0000:00", classCode: 0x060400, kernelGroup: 2)
        sysfs.folder.write(sysfs.path(of: "0000:00:1c.0") + "/secondary_bus_number", "2\n")
        sysfs.add("0000:02:00.0", below: "0000:00:1c.0", kernelGroup: 3)
    }

    private func reserve(
        _ shell: Shell, _ lines: [String]..., at address: String? = nil
    ) async throws -> Program.Outcome {
        list.write("list", lines.map { $0.joined(separator: "\t") + "\n" }.joined())
        return try await Program.run(
            shell.path,
            shell.arguments + [Program.packageFolder + "/systemd/vfiogroupd-reserve", list.path + "/list"]
                + [address].compactMap(\.self),
            environment: ["VFIOGROUPD_SYSFS": sysfs.root + "/sys"])
    }

    private func override(_ address: String) -> String {
        let path = sysfs.root + "/" + sysfs.path(of: address) + "/driver_override"
        return (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .newlines) ?? "none"
    }

    private func bind(_ address: String, to driver: String, isBuiltIn: Bool) {
        sysfs.folder.makeFolder("sys/bus/pci/drivers/\(driver)")
        if !isBuiltIn { sysfs.folder.write("sys/module/\(driver)/initstate", "live\n") }
        sysfs.folder.link("sys/bus/pci/drivers/\(driver)/module", to: "../../../../module/\(driver)")
        let up = String(repeating: "../", count: sysfs.path(of: address).split(separator: "/").count - 1)
        sysfs.folder.link(sysfs.path(of: address) + "/driver", to: up + "bus/pci/drivers/\(driver)")
    }

    @Test("a reserved device is pinned with all that goes together with it, bridges aside", arguments: Shell.all)
    func deviceWithGroup(shell: Shell) async throws {
        let outcome = try await reserve(shell, ["gpu", "device", "0000:01:00.0", "0x8086:0x10d3"])
        #expect(outcome.code == 0 && outcome.errors == "")
        #expect(override("0000:01:00.0") == "vfio-pci")
        #expect(override("0000:01:00.1") == "vfio-pci")
        #expect(override("0000:00:01.0") == "(null)")
        #expect(override("0000:02:00.0") == "(null)")
    }

    @Test("a group is found by its identity, whatever its buses are numbered", arguments: Shell.all)
    func groupByIdentity(shell: Shell) async throws {
        let outcome = try await reserve(shell, ["nic", "group", "pci0000-00_1c.0_00.0", "-"])
        #expect(outcome.code == 0 && outcome.errors == "")
        #expect(override("0000:02:00.0") == "vfio-pci")
        #expect(override("0000:01:00.0") == "(null)")
    }

    @Test("host bridges below another device or a platform device are found", arguments: Shell.all)
    func otherHostBridges(shell: Shell) async throws {
        sysfs.add("10000:e1:00.0", below: "devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0", kernelGroup: 5)
        sysfs.add("0002:01:00.0", below: "devices/platform/soc/4000.pcie/pci0002:00/0002:00:00.0", kernelGroup: 6)
        let outcome = try await reserve(
            shell, ["disk", "group", "pci10000-e0_06.0_00.0", "-"], ["nic", "group", "pci0002-00_00.0_00.0", "-"])
        #expect(outcome.code == 0 && outcome.errors == "")
        #expect(override("10000:e1:00.0") == "vfio-pci")
        #expect(override("0002:01:00.0") == "vfio-pci")
    }

    @Test(
        "a virtual function is found by its number, and a function of a later bus is not taken for it",
        arguments: Shell.all)
    func virtualFunction(shell: Shell) async throws {
        sysfs.add("0000:03:00.0", below: "0000:00:1c.0", kernelGroup: 7)
        sysfs.virtual("0000:03:00.0", number: 4, of: "0000:02:00.0")
        let outcome = try await reserve(shell, ["vf", "group", "pci0000-00_1c.0_00.0_vf4", "0x8086:0x10d3"])
        #expect(outcome.code == 0 && outcome.errors == "")
        #expect(override("0000:03:00.0") == "vfio-pci")
        #expect(override("0000:02:00.0") == "(null)")
        _ = try await reserve(shell, ["pf", "group", "pci0000-00_1c.0_00.0", "-"])
        #expect(override("0000:02:00.0") == "vfio-pci")
    }

    @Test("a group that is a whole host bridge is all that lies below it", arguments: Shell.all)
    func wholeHostBridge(shell: Shell) async throws {
        sysfs.add("0001:00:00.0", below: "pci0001:00")
        let outcome = try await reserve(shell, ["all", "group", "pci0000-00", "-"])
        #expect(outcome.code == 0 && outcome.errors == "")
        #expect(["0000:01:00.0", "0000:01:00.1", "0000:02:00.0"].allSatisfy { override($0) == "vfio-pci" })
        #expect(["0000:00:01.0", "0001:00:00.0"].allSatisfy { override($0) == "(null)" })
    }

    @Test("a device that is another one now is left alone, and both identities are told", arguments: Shell.all)
    func anotherDevice(shell: Shell) async throws {
        let outcome = try await reserve(shell, ["gpu", "device", "0000:01:00.0", "0x10de:0x2684"])
        #expect(outcome.errors.contains("gpu: 0000:01:00.0 is 0x8086:0x10d3 now, and 0x10de:0x2684 was reserved"))
        #expect(override("0000:01:00.0") == "(null)")
        #expect(override("0000:01:00.1") == "(null)")
    }

    @Test("IDs of a group are those of any of its endpoints, and not of a bridge", arguments: Shell.all)
    func idsOfGroup(shell: Shell) async throws {
        sysfs.folder.write(sysfs.path(of: "0000:01:00.1") + "/vendor", "0x10de\n")
        sysfs.folder.write(sysfs.path(of: "0000:00:01.0") + "/vendor", "0x1022\n")
        let bridge = try await reserve(shell, ["gpu", "group", "pci0000-00_01.0", "0x1022:0x10d3"])
        #expect(bridge.errors.contains("is 0x8086:0x10d3 0x10de:0x10d3 now, and 0x1022:0x10d3 was reserved"))
        #expect(override("0000:01:00.0") == "(null)")
        let endpoint = try await reserve(shell, ["gpu", "group", "pci0000-00_01.0", "0x10de:0x10d3"])
        #expect(endpoint.code == 0 && endpoint.errors == "")
        #expect(override("0000:01:00.0") == "vfio-pci")
    }

    @Test("a driver that was faster keeps the device, and is named with what would cure it", arguments: Shell.all)
    func driverThatWon(shell: Shell) async throws {
        bind("0000:01:00.0", to: "nouveau", isBuiltIn: false)
        bind("0000:01:00.1", to: "snd_hda_intel", isBuiltIn: true)
        bind("0000:02:00.0", to: "mlx5_vfio_pci", isBuiltIn: false)
        let outcome = try await reserve(
            shell, ["gpu", "device", "0000:01:00.0", "-"], ["nic", "device", "0000:02:00.0", "-"])
        let lines = outcome.errors.split(separator: "\n")
        #expect(lines.count == 2 && outcome.code == 0)
        #expect(lines.first?.contains("0000:01:00.0: the driver nouveau has it already (the initramfs") == true)
        #expect(
            lines.last?.contains("0000:01:00.1: the driver snd_hda_intel has it already (the driver is built") == true)
        #expect(override("0000:01:00.0") == "vfio-pci")
    }

    @Test("an override that somebody else set stays", arguments: Shell.all)
    func othersOverride(shell: Shell) async throws {
        sysfs.folder.write(sysfs.path(of: "0000:02:00.0") + "/driver_override", "none-such\n")
        let outcome = try await reserve(shell, ["nic", "device", "0000:02:00.0", "-"])
        #expect(outcome.errors.contains("nic: 0000:02:00.0: its driver override is none-such already"))
        #expect(override("0000:02:00.0") == "none-such")
    }

    @Test(
        "of a device that appears nothing else is touched, and of what is not there nothing said",
        arguments: Shell.all)
    func laterArrival(shell: Shell) async throws {
        let lines = [
            ["gpu", "device", "0000:01:00.0", "-"], ["nic", "group", "pci0000-00_1c.0_00.0", "-"],
            ["gone", "device", "0000:09:00.0", "-"], ["other", "device", "0000:02:00.0", "0x1:0x2"],
        ]
        let outcome = try await reserve(shell, lines[0], lines[1], lines[2], lines[3], at: "0000:01:00.1")
        #expect(outcome.code == 0 && outcome.errors == "")
        #expect(override("0000:01:00.1") == "vfio-pci")
        #expect(override("0000:01:00.0") == "(null)")
        #expect(override("0000:02:00.0") == "(null)")
        let atBoot = try await reserve(shell, lines[2])
        #expect(atBoot.code == 0 && atBoot.errors.contains("gone: device 0000:09:00.0 is not there"))
    }

    @Test("what is no list is refused", arguments: Shell.all)
    func noList(shell: Shell) async throws {
        let script = Program.packageFolder + "/systemd/vfiogroupd-reserve"
        let outcome = try await Program.run(shell.path, shell.arguments + [script, list.path + "/none"])
        #expect(outcome.code == 2 && outcome.errors.contains("usage"))
        let words = try await reserve(shell, ["nic", "slot", "pci0000-00_1c.0_00.0", "-"], [""])
        #expect(words.code == 0 && words.errors.contains("nic: slot pci0000-00_1c.0_00.0 is not there"))
        #expect(override("0000:02:00.0") == "(null)")
    }
}
