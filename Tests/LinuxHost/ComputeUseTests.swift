// Compute and memory: ROCm, mediated devices, crypto engines, SEV, CXL and DAX. Each with a twin that is free.

import EventLoop
import Host
import Inventory
import PCI
import Testing
import TestSupport

@testable import LinuxHost

@Suite("What a host uses: compute and memory", .timeLimit(.minutes(15)))
struct ComputeUseTests {
    @Test("who has memory or queues of a GPU through ROCm, by the GPU")
    @LoopActor func computing() async throws {
        let machine = try UseMachine(classCode: 0x038000, driver: "amdgpu")
        let kfd = "sys/class/kfd/kfd"
        machine.write(kfd + "/dev", "1:5")
        machine.write(kfd + "/topology/nodes/0/gpu_id", "0")
        machine.write(kfd + "/topology/nodes/0/properties", "cpu_cores_count 16\nlocation_id 0\ndomain 0")
        for (node, bus, gpu) in [(1, 1, 30381), (2, 2, 4711)] {
            machine.write(kfd + "/topology/nodes/\(node)/gpu_id", "\(gpu)")
            machine.write(
                kfd + "/topology/nodes/\(node)/properties",
                "cpu_cores_count 0\nsimd_count 216\nlocation_id \(bus << 8)\ndomain 0")
        }
        machine.sysfs.folder.makeFolder(kfd + "/proc")
        for pid in [4_200_031, 4_200_032, 4_200_033] as [Int32] { machine.process(pid, "python3", opens: "/dev/zero") }
        // A child that was left the descriptor is not listed.
        #expect(await machine.uses() == [])
        machine.write(kfd + "/proc/4200031/vram_30381", "1610571776")
        machine.write(kfd + "/proc/4200031/vram_4711", "0")
        machine.write(kfd + "/proc/4200032/vram_30381", "0")
        machine.write(kfd + "/proc/4200032/queues/0/gpuid", "30381")
        #expect(
            await machine.uses() == [
                DeviceUse(machine.device, .computing(pid: 4_200_031, command: "python3")),
                DeviceUse(machine.device, .computing(pid: 4_200_032, command: "python3")),
            ])
        // Before 5.8 it is not told, and any may be on any.
        machine.sysfs.folder.remove(kfd + "/proc")
        #expect(await machine.uses().count == 6)
    }

    @Test("where a node of the topology is")
    func topology() {
        #expect(ComputeUses.address(inProperties: "location_id 768\ndomain 65536") == PCIAddress("10000:03:00.0"))
        #expect(ComputeUses.address(inProperties: "location_id 771") == PCIAddress("0000:03:00.3"))
        #expect(ComputeUses.address(inProperties: "location_id 65536") == nil)
        #expect(ComputeUses.address(inProperties: "") == nil)
    }

    @Test("a parent of mediated devices, with and without any")
    @LoopActor func mediatedDevices() async throws {
        let machine = try UseMachine(classCode: 0x030000, driver: "i915")
        for device in [machine.device, machine.twin] {
            machine.write(machine.path(device) + "/mdev_supported_types/i915-GVTg_V5_4/available_instances", "1")
        }
        #expect(await machine.uses() == [])
        let child = machine.path(machine.device) + "/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
        machine.sysfs.folder.link(child + "/mdev_type", to: "../mdev_supported_types/i915-GVTg_V5_4")
        #expect(await machine.uses() == [DeviceUse(machine.device, .mediatedDevices(count: 1))])
        #expect(!MediatedDeviceUses.isUUID("0000:01:00.0") && !MediatedDeviceUses.isUUID("83b8f4f2-509f-382f-3c1e-"))
    }

    // A piece of /proc/crypto with qat_4xxx, whose algorithms intel_qat brings.
    private static func crypto(count: Int) -> String {
        """
        name         : cbc(aes)
        driver       : qat_aes_cbc
        module       : intel_qat
        priority     : 100
        refcnt       : \(count)
        selftest     : passed
        internal     : no
        type         : skcipher

        name         : cbc(aes)
        driver       : cbc-aes-aesni
        module       : aesni_intel
        priority     : 400
        refcnt       : 3
        selftest     : passed

        """
    }

    @Test("algorithms of an engine's driver that the kernel uses may run on any of its devices")
    @LoopActor func crypto() async throws {
        let machine = try UseMachine(classCode: 0x0b4000, driver: "4xxx")
        machine.sysfs.folder.link("sys/bus/pci/drivers/4xxx/module", to: "../../../../module/qat_4xxx")
        machine.sysfs.folder.link("sys/module/intel_qat/holders/qat_4xxx", to: "../../qat_4xxx")
        machine.write("proc/crypto", Self.crypto(count: 1))
        #expect(await machine.uses() == [])
        machine.write("proc/crypto", Self.crypto(count: 2))
        let reason = "the kernel uses cbc(aes) of its driver, and does not tell on which device"
        #expect(
            await machine.uses() == [
                DeviceUse(machine.device, .unknown(reason: reason)), DeviceUse(machine.twin, .unknown(reason: reason)),
            ])
        // What cannot be read concerns engines alone.
        machine.sysfs.folder.remove("proc/crypto")
        machine.sysfs.folder.makeFolder("proc/crypto")
        #expect(await machine.uses().map(\.kind.rule.severity) == [.unknown, .unknown])
        let network = try UseMachine()
        network.sysfs.folder.makeFolder("proc/crypto")
        #expect(await network.uses() == [])
    }

    @Test("AMD's security processor has the keys of SEV guests")
    @LoopActor func secureGuests() async throws {
        let machine = try UseMachine(classCode: 0x108000, driver: "ccp")
        machine.write("sys/class/misc/sev/dev", "1:5")
        machine.write("sys/fs/cgroup/misc.current", "sev 0\nsev_es 0")
        #expect(await machine.uses(machine.device) == [])
        machine.process(4_200_041, "qemu-system-x86", opens: "/dev/zero")
        machine.write("sys/fs/cgroup/misc.current", "sev 1\nsev_es 2\nother 5")
        #expect(
            await machine.uses(machine.device).map(\.kind) == [
                .secureGuests(who: "process 4200041 (qemu-system-x86) has /dev/sev open"),
                .secureGuests(who: "the kernel counts 3"),
            ])
        let other = try UseMachine(classCode: 0x108000, driver: "qce")
        other.write("sys/class/misc/sev/dev", "1:5")
        other.process(4_200_042, "qemu-system-x86", opens: "/dev/zero")
        #expect(await other.uses() == [])
    }

    @Test("a memory expander of CXL, with and without memory that is online, and who has a DAX device of it open")
    @LoopActor func memory() async throws {
        let machine = try UseMachine(classCode: 0x050210, driver: "cxl_pci")
        let root = "devices/platform/ACPI0017:00/root0"
        for (number, device) in [machine.device, machine.twin].enumerated() {
            let expander = machine.components(device).joined(separator: "/") + "/mem\(number)"
            machine.list("mem\(number)", in: "bus/cxl/devices", at: expander)
            let endpoint = "\(root)/port1/endpoint\(number + 2)"
            machine.sysfs.folder.makeFolder("sys/" + endpoint)
            machine.sysfs.folder.link("sys/\(endpoint)/uport", to: "../../../../../../" + expander)
            let region = "\(root)/decoder0.0/region\(number)"
            machine.list("region\(number)", in: "bus/cxl/devices", at: region)
            machine.write("sys/\(region)/resource", "0x\(number + 1)0000000")
            machine.write("sys/\(region)/size", "0x10000000")
            let decoder = "\(endpoint)/decoder\(number + 2).0"
            machine.list("decoder\(number + 2).0", in: "bus/cxl/devices", at: decoder)
            machine.write("sys/\(decoder)/region", "region\(number)")
            let dax = "\(region)/dax_region\(number)/dax\(number).0"
            machine.list("dax\(number).0", in: "bus/dax/devices", at: dax)
            machine.write("sys/\(dax)/resource", "0x\(number + 1)0000000")
            machine.write("sys/\(dax)/size", "268435456")
            machine.write("sys/\(dax)/dev", number == 0 ? "1:5" : "1:3")
        }
        machine.write("sys/devices/system/memory/block_size_bytes", "8000000")
        for block in 0..<6 {
            machine.write("sys/devices/system/memory/memory\(block)/state", block < 2 ? "online" : "offline")
        }
        #expect(await machine.uses() == [])
        for block in [2, 3] { machine.write("sys/devices/system/memory/memory\(block)/state", "online") }
        #expect(await machine.uses() == [DeviceUse(machine.device, .memoryOnline(region: "region0", blocks: 2))])
        machine.write("sys/devices/system/memory/memory2/state", "offline")
        machine.write("sys/devices/system/memory/memory3/state", "offline")
        machine.process(4_200_051, "pmempool", opens: "/dev/null")
        #expect(await machine.uses() == [DeviceUse(machine.twin, .open(pid: 4_200_051, command: "pmempool"))])
    }

    @Test("a DAX device of a device itself")
    @LoopActor func dax() async throws {
        let machine = try UseMachine(classCode: 0x00ff00, driver: "virtio-pci")
        machine.write("sys/devices/system/memory/block_size_bytes", "8000000")
        machine.write("sys/devices/system/memory/memory32/state", "online")
        for (number, device) in [machine.device, machine.twin].enumerated() {
            let folder = machine.components(device).joined(separator: "/")
            let dax = "\(folder)/virtio\(number)/ndbus0/region0/dax\(number).0"
            machine.list("dax\(number).0", in: "bus/dax/devices", at: dax)
            machine.write("sys/\(dax)/resource", "0x\(number + 1)00000000")
            machine.write("sys/\(dax)/size", "134217728")
        }
        #expect(await machine.uses() == [DeviceUse(machine.device, .memoryOnline(region: "dax0.0", blocks: 1))])
    }
}
