// What /proc/interrupts and the parameters of modules say of interrupt remapping.

import EventLoop
import Testing
import TestSupport

@testable import Inventory
@testable import LinuxHost

@Suite("Interrupt remapping", .timeLimit(.minutes(15)))
struct InterruptRemappingTests {
    init() throws { try EventLoop.main.runInBackground() }

    private static let remapped = """
               CPU0       CPU1
          0:          7          0  IR-IO-APIC    2-edge      timer
         25:          0          9  IR-PCI-MSI-0000:00:02.0    0-edge      eth0
        """
    private static let direct = """
               CPU0
          9:          0   IO-APIC   9-fasteoi   acpi
         25:          0   PCI-MSI-0000:00:02.0    0-edge      IR-lamp
        """
    /// An arm64 machine.
    private static let other = "           CPU0\n 11:   5  GICv3  27 Level  arch_timer\n"

    @Test("is on where chips are remapped, off where they are not, and unknown where neither is told")
    func chips() {
        #expect(InterruptRemapping(interrupts: Array(Self.remapped.utf8))?.isOn == true)
        #expect(InterruptRemapping(interrupts: Array(Self.direct.utf8))?.isOn == false)
        #expect(InterruptRemapping(interrupts: Array(Self.other.utf8)) == nil)
        #expect(InterruptRemapping(interrupts: []) == nil)
    }

    @Test("is known to keep devices from everybody only when no module that is loaded was told to do without")
    func refusal() {
        #expect(!InterruptRemapping(isOn: true, type1Allows: false, iommufdAllows: false).refusesDevices)
        #expect(!InterruptRemapping(isOn: false).refusesDevices)
        #expect(InterruptRemapping(isOn: false, type1Allows: false).refusesDevices)
        #expect(!InterruptRemapping(isOn: false, type1Allows: false, iommufdAllows: true).refusesDevices)
    }

    @Test("is read with the host, the parameters anew each time, and is part of a snapshot")
    @LoopActor func host() async throws {
        let sysfs = SyntheticSysfs()
        sysfs.add("0000:00:01.0", below: "pci0000:00")
        let host = LinuxHost(root: sysfs.root)
        #expect(try await host.readInventory().interrupts == nil)
        sysfs.folder.write("proc/interrupts", Self.direct)
        #expect(try await host.readInventory().interrupts == InterruptRemapping(isOn: false))
        let parameter = "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"
        for (text, allows) in [("N\n", false), ("Y\n", true)] {
            sysfs.folder.write(parameter, text)
            let inventory = try await host.readInventory()
            #expect(inventory.interrupts == InterruptRemapping(isOn: false, type1Allows: allows))
            #expect(try Inventory.replaying(inventory).interrupts == inventory.interrupts)
        }
    }
}
