// Faults, a second writer, and the simulated host on top of the kernel.

import EventLoop
import Host
import Inventory
import PCI
import Testing
import TestSupport

@testable import SimulatedHost

@Suite("Faults of the simulated kernel, and its host", .timeLimit(.minutes(15)))
struct KernelFaultTests {
    typealias Refusal = SimulatedKernel.Refusal

    init() throws { try EventLoop.main.runInBackground() }

    @Test("a fault fails its step at its device, once or always")
    func fails() throws {
        var kernel = kernel()
        kernel.inject(SimulatedFault(.unbind, of: network, .fails(.eio)))
        kernel.inject(SimulatedFault(.writeDriverOverride, of: disk, .fails(.enomem), .always))
        #expect(kernel.write(.unbind(network, from: "e1000e")) == .failed(.eio))
        #expect(kernel.driver(network) == "e1000e")
        try kernel.done(.unbind(network, from: "e1000e"))
        for _ in 0..<3 { #expect(kernel.write(.driverOverride(disk, "vfio-pci")) == .failed(.enomem)) }
        kernel.clearFaults()
        try kernel.done(.driverOverride(disk, "vfio-pci"))
    }

    @Test("a driver whose probe fails: drivers_probe succeeds without binding, bind tells")
    func probe() throws {
        var kernel = kernel()
        kernel.inject(SimulatedFault(.probe, of: network, .fails(.eio), .always))
        try kernel.take(network)
        #expect(kernel.driver(network) == nil)
        #expect(kernel.write(.bind(network, to: "vfio-pci")) == .failed(.eio))
    }

    @Test("an unbind that never returns leaves no driver link, keeps the device lock and the group, and can be let go")
    func neverReturns() throws {
        var kernel = kernel()
        kernel.inject(SimulatedFault(.unbind, of: network, .neverReturns))
        let operation = try kernel.blocked(.unbind(network, from: "e1000e"))
        #expect(kernel.driver(network) == nil)
        #expect(!kernel.isViable(1), "the driver has not let go of its DMA")
        let probe = try kernel.blocked(.driversProbe(network))
        try kernel.take(disk)
        kernel.release(operation)
        #expect(kernel.outcome(of: operation) == .done)
        #expect(kernel.outcome(of: probe) == .done)
        #expect(kernel.driver(network) == "e1000e")
    }

    @Test("calls of vfio fail and block too, at any member of the group")
    func vfioCalls() throws {
        var kernel = try takenKernel()
        kernel.inject(SimulatedFault(.openGroup, of: sound, .fails(.enomem)))
        #expect(refusal { () throws(Refusal) in try kernel.openGroup(1) } == .enomem)
        let cdev = try kernel.openCdev(network)
        let iommufd = try kernel.openIOMMUFD()
        kernel.inject(SimulatedFault(.bindIOMMUFD, of: network, .neverReturns))
        #expect(throws: Refusal.self) { try kernel.bindIOMMUFD(cdev, iommufd) }
        let operation = try #require(kernel.blockedOperations.first)
        #expect(kernel.outcome(of: operation) == .blocked(operation))
        kernel.release(operation)
        try kernel.bindIOMMUFD(cdev, iommufd)
    }

    @Test(
        "every access to sysfs can be made to fail",
        arguments: [
            SimulatedKernel.Access.readDriverOverride(network), .driverOverride(network, "x"),
            .bind(network, to: "e1000e"),
            .unbind(network, from: "e1000e"), .driversProbe(network), .remove(network), .reset(network),
            .powerControl(network, .auto), .d3coldAllowed(network, true),
        ])
    func everyAccess(access: SimulatedKernel.Access) throws {
        var kernel = kernel()
        let step = try #require(access.fault?.step)
        kernel.inject(SimulatedFault(step, of: network, .fails(.eio)))
        let before = kernel.inventory
        #expect(kernel.write(access) == .failed(.eio))
        #expect(kernel.inventory == before)
    }

    @Test("a second writer changes drivers behind the daemon's back, and is seen in uevents and inventory")
    @LoopActor func secondWriter() async throws {
        let host = SimulatedHost(name: "test", kernel: kernel())
        let before = try await host.readInventory()
        let waiting = EventLoop.main.spawn { (try? await host.awaitChange()) != nil }
        await EventLoop.main.yield()
        try host.perform { kernel in try kernel.done(.unbind(network, from: "e1000e")) }
        #expect(await waiting.value)
        let after = try await host.readInventory()
        #expect(before[network]?.driver == "e1000e")
        #expect(after[network]?.driver == nil)
        #expect(host.kernel.uevents.last?.concernsGroups == true)
    }

    @Test("a change before the wait ends it at once; a wait without one ends with its task")
    @LoopActor func waiting() async throws {
        let host = SimulatedHost(name: "test", kernel: kernel())
        host.perform { kernel in _ = kernel.write(.unbind(network, from: "e1000e")) }
        try await host.awaitChange()
        // Nobody is told of an override.
        host.perform { kernel in _ = kernel.write(.driverOverride(network, "vfio-pci\n")) }
        let idle = EventLoop.main.spawn { () -> LoopError? in
            do throws(LoopError) { try await host.awaitChange() } catch { return error }
            return nil
        }
        await EventLoop.main.yield()
        idle.cancel()
        #expect(await idle.value == .cancelled)
    }

    @Test("whatever is done to it, it goes on: ten thousand random calls, and the same again in a second run")
    func random() throws {
        func run() -> ([Uevent], Inventory) {
            var kernel = kernel()
            var generator = Generator(state: 4)
            var files: [SimulatedKernel.File] = []
            let addresses = [port, network, sound, disk]
            let drivers = ["vfio-pci", "pci-stub", "e1000e", "nvme", "pcieport"]
            for _ in 0..<10_000 {
                guard let address = addresses.randomElement(using: &generator),
                    let driver = drivers.randomElement(using: &generator)
                else { continue }
                switch Int.random(in: 0..<14, using: &generator) {
                case 0: _ = kernel.write(.driverOverride(address, driver + "\n"))
                case 1: _ = kernel.write(.driverOverride(address, "\n"))
                case 2: _ = kernel.write(.bind(address, to: driver))
                case 3: _ = kernel.write(.unbind(address, from: kernel.driver(address) ?? driver))
                case 4: _ = kernel.write(.driversProbe(address))
                case 5: _ = kernel.write(.remove(address))
                case 6: _ = kernel.write(.rescan)
                case 7: kernel.settle()
                case 8: if let file = try? kernel.openCdev(address) { files.append(file) }
                case 9:
                    if let group = kernel.group(address), let file = try? kernel.openGroup(group) { files.append(file) }
                case 10: files.append(kernel.openContainer())
                case 11: if let file = try? kernel.openIOMMUFD() { files.append(file) }
                case 12:
                    guard let a = files.randomElement(using: &generator), let b = files.randomElement(using: &generator)
                    else { continue }
                    try? kernel.bindIOMMUFD(a, b)
                    try? kernel.setContainer(a, b)
                    try? kernel.setIOMMU(b)
                    if let file = try? kernel.getDevice(a, address) { files.append(file) }
                default:
                    guard let index = files.indices.randomElement(using: &generator) else { continue }
                    try? kernel.close(files.remove(at: index))
                }
            }
            for file in files { try? kernel.close(file) }
            #expect(kernel.blockedOperations.isEmpty, "with the last holder every call has ended")
            #expect(kernel.files.isEmpty)
            #expect(!kernel.groups.values.contains { $0.owner != nil })
            return (kernel.uevents, kernel.inventory)
        }
        let (first, second) = (run(), run())
        #expect(first.0 == second.0)
        #expect(first.1 == second.1)
    }
}
