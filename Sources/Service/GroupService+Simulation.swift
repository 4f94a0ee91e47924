// io.vfiogroupd.Simulation: what an administrator or the hardware does to a machine, done to a simulated one.

import EventLoop
import GroupAPI
import Inventory
import PCI
import SimulatedHost
import Varlink

extension GroupService {
    /// Has the server answer the interface for a simulated machine.
    public func registerSimulation(of machine: SimulatedHost) {
        server.add(Simulation.interface)
        server.answer(Simulation.Bind.self) { (call) throws(ErrorReply) in
            let address = try machine.address(call.parameters.device)
            let driver = call.parameters.driver
            guard !driver.isEmpty, driver.utf8.count < 64, !driver.contains("\n") else {
                throw .invalidParameter("driver")
            }
            try machine.write(.driverOverride(address, driver + "\n"))
            if let bound = machine[address]?.driver { try machine.write(.unbind(address, from: bound)) }
            try machine.write(.driversProbe(address))
            return Answer(.init(driver: machine[address]?.driver))
        }
        server.answer(Simulation.Unbind.self) { (call) throws(ErrorReply) in
            let address = try machine.address(call.parameters.device)
            guard let bound = machine[address]?.driver else {
                throw ErrorReply(Simulation.Failure.refused(errnoName: "ENODEV"))
            }
            try machine.write(.unbind(address, from: bound))
            return Answer(.init())
        }
        server.answer(Simulation.Remove.self) { (call) throws(ErrorReply) in
            try machine.write(.remove(try machine.address(call.parameters.device)))
            return Answer(.init())
        }
        server.answer(Simulation.Rescan.self) { (_) throws(ErrorReply) in
            try machine.write(.rescan)
            return Answer(.init())
        }
        server.answer(Simulation.SetVirtualFunctions.self) { (call) throws(ErrorReply) in
            guard let address = try machine.address(call.parameters.device).pci else {
                throw .invalidParameter("device")
            }
            guard (0...65535).contains(call.parameters.count) else { throw .invalidParameter("count") }
            try machine.write(.numVFs(address, call.parameters.count))
            return Answer(.init())
        }
        server.answer(Simulation.LoadModule.self) { (call) throws(ErrorReply) in
            let driver = call.parameters.driver
            guard driver.utf8.count < 64 else { throw .invalidParameter("driver") }
            do throws(KernelErrno) {
                try machine.change { (kernel) throws(KernelErrno) in try kernel.loadModule(driver) }
            } catch { throw ErrorReply(Simulation.Failure.noSuchModule(driver: driver)) }
            return Answer(.init())
        }
        registerHotplug(of: machine)
        registerFaults(of: machine)
    }
}

extension SimulatedHost {
    /// The device that a call is about.
    func address(_ device: Simulation.DeviceAddress) throws(ErrorReply) -> DeviceAddress {
        let address = try parse(device)
        guard self[address] != nil else { throw ErrorReply(Simulation.Failure.noSuchDevice(device: device)) }
        return address
    }

    /// The address that a call gives, whether or not something is there.
    func parse(_ device: Simulation.DeviceAddress) throws(ErrorReply) -> DeviceAddress {
        guard let address = try DeviceAddress(device, "device") else {
            throw ErrorReply(Simulation.Failure.noSuchDevice(device: device))
        }
        return address
    }

    /// Lets the kernel do something. Nodes come by devtmpfs, which is quick, unless a test wants them later.
    func change<Value, Failure>(_ body: (inout SimulatedKernel) throws(Failure) -> Value) throws(Failure) -> Value {
        try perform { (kernel) throws(Failure) in
            let value = try body(&kernel)
            if !delaysNodes { kernel.settle() }
            return value
        }
    }

    /// Writes to the simulated sysfs.
    fileprivate func write(_ access: SimulatedKernel.Access) throws(ErrorReply) {
        try check(change { kernel in kernel.write(access) })
    }

    /// Throws what a call has come to, unless it is done.
    func check(_ outcome: SimulatedKernel.Outcome) throws(ErrorReply) {
        switch outcome {
        case .done: return
        case .failed(let errno): throw ErrorReply(Simulation.Failure.refused(errnoName: errno.description))
        case .blocked: throw ErrorReply(Simulation.Failure.blocked)
        }
    }
}
