// The unit of a process, from cgroups as kernels and service managers of all kinds write them.

import Testing

@testable import Systemd

@Suite("The unit of a process")
struct SystemUnitTests {
    @Test(
        "it is the first component that is no slice",
        arguments: [
            ("0::/system.slice/libvirtd.service", "libvirtd.service", ["system.slice"]),
            ("0::/init.scope", "init.scope", []),
            (
                "0::/system.slice/system-vm.slice/vm@7.service/payload", "vm@7.service",
                ["system.slice", "system-vm.slice"]
            ),
            // What a user's own manager calls its units is the user's affair.
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/libvirtd.service", "user@1000.service",
                ["user.slice", "user-1000.slice"]
            ),
            ("0::/machine.slice/libpod-1.scope/system.slice/libvirtd.service", "libpod-1.scope", ["machine.slice"]),
            ("0::/system.slice/_net.service", "net.service", ["system.slice"]),
            // With both hierarchies systemd's own counts.
            ("12:cpu:/x.service\n1:name=systemd:/system.slice/a.service\n0::/b.service", "a.service", ["system.slice"]),
            ("4:memory:/evil.service\n0::/system.slice/b.service\n", "b.service", ["system.slice"]),
        ])
    func unit(_ text: String, _ name: String, _ slices: [String]) throws {
        let unit = try #require(SystemUnit(cgroup: text))
        #expect(unit.name == name)
        #expect(unit.slices == slices)
    }

    @Test(
        "a process outside of units, and one that is not below the reader's cgroup, is in none",
        arguments: [
            "", "0::/", "0::/../../system.slice/a.service", "0::/user.slice", "0::/docker/abc/system.slice/a.service",
            "nonsense", "0:/a.service", "5:cpu:/a.service",
        ])
    func none(_ text: String) { #expect(SystemUnit(cgroup: text) == nil) }

    @Test("it goes by its name, its template and its slices")
    func names() throws {
        let unit = try #require(SystemUnit(cgroup: "0::/system.slice/system-vm.slice/vm@a@b.service"))
        for name in ["vm@a@b.service", "vm@.service", "system.slice", "system-vm.slice"] {
            #expect(unit.isCalled(name))
        }
        for name in ["vm.service", "vm@a.service", "vm@", "@.service", "user.slice", ""] {
            #expect(!unit.isCalled(name))
        }
        let plain = try #require(SystemUnit(cgroup: "0::/a.service"))
        #expect(!plain.isCalled("a@.service") && !plain.isCalled("-.slice"))
    }
}
