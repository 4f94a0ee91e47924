// Machines that the simulated kernel's tests run on, and short ways to say what is done to them.

import Host
import Inventory
import PCI
import TestSupport

@testable import SimulatedHost

let port = device("0000:00:01.0")
let network = device("0000:01:00.0")
let sound = device("0000:01:00.1")
let disk = device("0000:02:00.0")

func device(_ name: String) -> DeviceAddress {
    DeviceAddress(bus: "pci", name: name) ?? .other(bus: "none", name: name)
}

/// Group 1: a port on `portDriver`, behind it a network card and a sound device on `soundDriver`. Group 2: a disk. The
/// modules vfio-pci and pci-stub are loaded.
func kernel(
    release: String = "6.12.95", portDriver: String? = "pcieport", soundDriver: String? = nil
) -> SimulatedKernel {
    var kernel = SimulatedKernel(
        machine(
            pciDevice("0000:00:01.0", group: 1, isBridge: true, driver: portDriver),
            pciDevice("0000:01:00.0", parent: "0000:00:01.0", group: 1, driver: "e1000e"),
            pciDevice("0000:01:00.1", parent: "0000:00:01.0", group: 1, classCode: 0x040300, driver: soundDriver),
            pciDevice("0000:02:00.0", group: 2, classCode: 0x010802, driver: "nvme"), kernel: release))
    kernel.register(KernelDriver("vfio-pci"))
    kernel.register(KernelDriver("pci-stub"))
    return kernel
}

/// The same with the network card on vfio-pci and every node there.
func takenKernel(
    release: String = "6.12.95", portDriver: String? = "pcieport", soundDriver: String? = nil
) throws -> SimulatedKernel {
    var kernel = kernel(release: release, portDriver: portDriver, soundDriver: soundDriver)
    try kernel.take(network)
    return kernel
}

/// A call did not end as it had to.
struct Unexpected: Error {
    var outcome: SimulatedKernel.Outcome
}

extension SimulatedKernel {
    func driver(_ address: DeviceAddress) -> String? { self[address]?.driver }
    func group(_ address: DeviceAddress) -> Int? { self[address]?.kernelGroup }

    mutating func done(_ access: Access) throws {
        let outcome = write(access)
        guard outcome == .done else { throw Unexpected(outcome: outcome) }
    }

    mutating func blocked(_ access: Access) throws -> Operation {
        let outcome = write(access)
        guard case .blocked(let operation) = outcome else { throw Unexpected(outcome: outcome) }
        return operation
    }

    /// Override, unbind, probe, settle.
    mutating func take(_ address: DeviceAddress, by driver: String = "vfio-pci") throws {
        try done(.driverOverride(address, driver + "\n"))
        if let present = self.driver(address) { try done(.unbind(address, from: present)) }
        try done(.driversProbe(address))
        settle()
    }

    mutating func openCdev(_ address: DeviceAddress) throws(Refusal) -> File {
        guard let number = vfioNumber(of: address) else { throw .failed(.enodev) }
        return try openCdev(number)
    }

    /// The group of `address` in a container with an IOMMU.
    mutating func openOwned(_ number: Int) throws(Refusal) -> (group: File, container: File) {
        let group = try openGroup(number)
        let container = openContainer()
        try setContainer(group, container)
        try setIOMMU(container)
        return (group, container)
    }

    /// What a listener saw since `count` events, in short.
    func events(since count: Int) -> [String] {
        uevents.dropFirst(count).map { event in
            let driver = event.driver.map { " DRIVER=\($0)" } ?? ""
            let node = event.node.map { " DEVNAME=\($0)" } ?? ""
            return "\(event.action) \(event.subsystem)/\(event.name)\(driver)\(node)"
        }
    }
}

/// The errno that a call failed with; nil where it did not fail.
func refusal<Value>(_ body: () throws(SimulatedKernel.Refusal) -> Value) -> KernelErrno? {
    do throws(SimulatedKernel.Refusal) {
        _ = try body()
        return nil
    } catch {
        if case .failed(let errno) = error { return errno }
        return nil
    }
}
