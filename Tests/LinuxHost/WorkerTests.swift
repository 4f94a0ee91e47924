// Workers of a real host, on ordinary files and pipes: what they write, where they get stuck, and how they end.

import CLinux
import EventLoop
import Foundation
import Host
import Inventory
import PCI
import Testing
import TestSupport

@testable import LinuxHost

@Suite("Workers of a real host", .timeLimit(.minutes(15)))
struct WorkerTests {
    let sysfs = SyntheticSysfs()
    let device: DeviceAddress

    init() throws {
        try EventLoop.main.runInBackground()
        device = .pci(try #require(PCIAddress("0000:00:01.0")))
        sysfs.add("0000:00:01.0", below: "pci0000:00")
        sysfs.folder.write(sysfs.path(of: "0000:00:01.0") + "/power/control", "on\n")
        sysfs.folder.write("sys/bus/pci/drivers_probe", "")
        sysfs.folder.write("sys/bus/pci/drivers/e1000e/unbind", "")
    }

    @LoopActor private func host() -> LinuxHost { LinuxHost(root: sysfs.root, writable: true) }

    private func path(_ attribute: String) -> String {
        sysfs.root + "/" + sysfs.path(of: "0000:00:01.0") + "/" + attribute
    }

    private func text(_ path: String) -> String? { (try? String(contentsOfFile: path, encoding: .utf8)) }

    /// Makes an attribute into a pipe without a reader, whose opening does not return, as a write under the device lock.
    private func block(_ attribute: String) {
        unlink(path(attribute))
        #expect(mkfifo(path(attribute), 0o600) == 0)
    }

    @Test("writes what the kernel expects to the attributes of the device, its driver and its bus")
    @LoopActor func writes() async throws {
        let host = host()
        #expect(try await host.make(.setDriverOverride(device, "vfio-pci")).isDone)
        #expect(text(path("driver_override")) == "vfio-pci\n")
        #expect(try await host.make(.setDriverOverride(device, nil)).isDone)
        #expect(text(path("driver_override"))?.hasPrefix("\n") == true)
        #expect(try await host.make(.setPowerControl(device, .auto)).isDone)
        #expect(text(path("power/control")) == "auto")
        #expect(try await host.make(.unbind(.given(device), from: "e1000e")).isDone)
        #expect(text(sysfs.root + "/sys/bus/pci/drivers/e1000e/unbind") == "0000:00:01.0")
        #expect(try await host.make(.probe(device)).isDone)
        #expect(text(sysfs.root + "/sys/bus/pci/drivers_probe") == "0000:00:01.0")
    }

    @Test("nothing is done before it may go")
    @LoopActor func waitsForLeave() async throws {
        let worker = try host().prepare(.setDriverOverride(device, "vfio-pci"))
        #expect(ProcessIdentity(of: worker.id.pid) == worker.id)
        #expect(await waits { worker.id.command == "vfiogroupd-call" })
        #expect(text(path("driver_override")) == "(null)\n")
        worker.go()
        #expect(try await worker.outcome().isDone)
        // Asked again, it says the same.
        #expect(try await worker.outcome().isDone)
        #expect(ProcessIdentity(of: worker.id.pid) != worker.id)
    }

    @Test("a worker whose daemon is gone before it may go ends without its call")
    @LoopActor func daemonDies() async throws {
        var worker: (any KernelWorker)? = try host().prepare(.setDriverOverride(device, "vfio-pci"))
        let id = try #require(worker?.id)
        #expect(ProcessIdentity(of: id.pid) == id)
        worker = nil
        #expect(await waits { ProcessIdentity(of: id.pid) != id })
        #expect(text(path("driver_override")) == "(null)\n")
    }

    @Test("a device is announced anew by its uevent")
    @LoopActor func announce() async throws {
        sysfs.folder.write(sysfs.path(of: "0000:00:01.0") + "/uevent", "")
        #expect(try await host().make(.announce(device)).isDone)
        #expect(text(path("uevent")) == "add")
    }

    @Test("an error comes with its number")
    @LoopActor func errors() async throws {
        let host = host()
        #expect(try await host.make(.reset(.given(device))).errno == ENOENT)
        #expect(try await host.make(.unbind(.given(device), from: "nvme")).errno == ENOENT)
        sysfs.folder.makeFolder(sysfs.path(of: "0000:00:01.0") + "/reset")
        #expect(try await host.make(.reset(.given(device))).errno == EISDIR)
    }

    @Test("a call that does not return is seen, found again by its number and start time, and can be killed")
    @LoopActor func stuck() async throws {
        block("driver_override")
        let host = host()
        let worker = try host.prepare(.setDriverOverride(device, "vfio-pci"))
        worker.go()
        // It has let go of all but the socket.
        let files = "/proc/\(worker.id.pid)/fd"
        #expect(await waits { (try? FileManager.default.contentsOfDirectory(atPath: files).count) == 1 })
        let result = EventLoop.main.spawn { try? await worker.outcome() }
        let cancelled = EventLoop.main.spawn { () -> Bool in
            guard let found = try? host.findWorker(worker.id) else { return false }
            do throws(LoopError) { _ = try await found.outcome() } catch { return error == .cancelled }
            return false
        }
        try await EventLoop.main.sleep(for: .milliseconds(1))
        cancelled.cancel()
        #expect(await cancelled.value)
        let found = try #require(try host.findWorker(worker.id))
        #expect(found.id == worker.id)
        #expect(kill(worker.id.pid, SIGKILL) == 0)
        #expect(await result.value?.isUnknown == true)
        #expect(try await found.outcome().isUnknown)
        #expect(try host.findWorker(worker.id) == nil)
    }

    @Test("a call that returns late is done, and the loop has gone on meanwhile")
    @LoopActor func late() async throws {
        block("driver_override")
        let worker = try host().prepare(.setDriverOverride(device, "vfio-pci"))
        worker.go()
        let result = EventLoop.main.spawn { try? await worker.outcome() }
        let reader = open(path("driver_override"), O_RDONLY | O_NONBLOCK)
        defer { close(reader) }
        #expect(await result.value?.isDone == true)
        var bytes = [UInt8](repeating: 0, count: 64)
        #expect(read(reader, &bytes, bytes.count) == 9)
    }

    @Test("a wait for a call can be given up and taken up again")
    @LoopActor func cancellation() async throws {
        block("driver_override")
        let worker = try host().prepare(.setDriverOverride(device, "vfio-pci"))
        worker.go()
        let waiting = EventLoop.main.spawn { () -> Bool in
            do throws(LoopError) { _ = try await worker.outcome() } catch { return error == .cancelled }
            return false
        }
        try await EventLoop.main.sleep(for: .milliseconds(1))
        waiting.cancel()
        #expect(await waiting.value)
        #expect(kill(worker.id.pid, SIGKILL) == 0)
        #expect(try await worker.outcome().isUnknown)
    }

    @Test("a worker that nobody waits for is reaped")
    @LoopActor func reaped() async throws {
        var worker: (any KernelWorker)? = try host().prepare(.probe(device))
        let id = try #require(worker?.id)
        worker?.go()
        worker = nil
        // A zombie would still have its start time.
        #expect(await waits { ProcessIdentity(of: id.pid) != id })
    }

    @Test("a file is closed by the worker, and by the daemon before")
    @LoopActor func closes() async throws {
        var ends: [Int32] = [-1, -1]
        #expect(clinux_pipe(&ends) == 0)
        #expect(clinux_set_nonblocking(ends[0]) == 0)
        defer { close(ends[0]) }
        let file = KernelFile(owning: ends[1])
        let worker = try host().prepare(.close(file))
        #expect(file.isOpen)
        var byte: UInt8 = 0
        #expect(read(ends[0], &byte, 1) == -1)
        worker.go()
        #expect(!file.isOpen)
        #expect(try await worker.outcome().isDone)
        // Other tests fork, too: their children have a copy for a moment.
        #expect(await waits { read(ends[0], &byte, 1) == 0 })
        #expect(try await host().make(.close(file)).isDone)
    }

    @Test("a copy of a host is not changed")
    @LoopActor func notLive() async throws {
        let host = LinuxHost(root: sysfs.root)
        #expect(throws: HostError.notLive(name: sysfs.root)) { try host.prepare(.probe(device)) }
        await #expect(throws: HostError.notLive(name: sysfs.root)) { try await host.readBinding(of: device) }
        #expect(await host.uses(of: [device]).map(\.device) == [device])
        #expect(await host.vfioInterfaces() == [])
    }

    @Test("what is no name leads nowhere")
    @LoopActor func names() async throws {
        let host = host()
        for name in ["../../../x", "", "a/b", "a\nb"] {
            #expect(throws: HostError.self) { try host.prepare(.unbind(.given(device), from: name)) }
            #expect(throws: HostError.self) { try host.prepare(.loadModule(driver: name)) }
            #expect(throws: HostError.self) { try host.prepare(.setDriverOverride(device, name)) }
        }
        let other = try #require(DeviceAddress(bus: "platform", name: "../x"))
        #expect(throws: HostError.self) { try host.prepare(.reset(.given(other))) }
    }

    @Test("modprobe loads a driver's module, unless the driver is there")
    @LoopActor func modules() async throws {
        let host = host()
        #expect(try await host.make(.loadModule(driver: "e1000e")).isDone)
        sysfs.folder.makeFolder("sys/bus/platform/drivers/vfio-platform")
        #expect(try await host.make(.loadModule(driver: "vfio-platform")).isDone)
        #expect(try await host.make(.loadModule(driver: "vfio-pci")).errno == ENOENT)
        let script = "#!/bin/sh\necho \"$*\" >>'\(sysfs.root)/arguments'\ntest \"$2\" = vfio-pci\n"
        sysfs.folder.write("sbin/modprobe", script)
        chmod(sysfs.root + "/sbin/modprobe", 0o700)
        #expect(try await host.make(.loadModule(driver: "vfio-pci")).isDone)
        #expect(try await host.make(.loadModule(driver: "none-such")).errno == ENOENT)
        #expect(text(sysfs.root + "/arguments") == "-- vfio-pci\n-- none-such\n")
    }

    @Test("where modules may not be loaded systemd loads them, and what it did is looked at")
    @LoopActor func modulesByManager() async throws {
        let host = host()
        let script = """
            #!/bin/sh
            echo "$*" >>'\(sysfs.root)/arguments'
            test "$2" != modprobe@mlx5_vfio_pci.service || mkdir -p '\(sysfs.root)/sys/module/mlx5_vfio_pci'

            """
        sysfs.folder.write("usr/bin/systemctl", script)
        chmod(sysfs.root + "/usr/bin/systemctl", 0o700)
        func load(_ driver: String) async throws -> CallOutcome {
            let worker = try LinuxWorker(LinuxCall(loading: driver, byManager: true, on: host))
            worker.go()
            return try await worker.outcome()
        }
        #expect(try await load("e1000e").isDone)
        #expect(try await load("mlx5-vfio-pci").isDone)
        #expect(try await load("vfio-pci").errno == ENOENT)
        #expect(
            text(sysfs.root + "/arguments")
                == "start modprobe@mlx5_vfio_pci.service\nstart modprobe@vfio_pci.service\n")
        for name in ["a b", "a\\x2d", "a@b", "\u{e9}"] {
            #expect(throws: HostError.self) { try LinuxCall(loading: name, byManager: true, on: host) }
        }
    }
}
