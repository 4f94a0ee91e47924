// io.vfiogroupd.Simulation: what an administrator or the hardware does to a machine, done to a simulated one.

import EventLoop
import GroupAPI
import Host
import PCI
import Varlink

extension GroupService {
    /// Has `server` answer the interface for a simulated machine.
    public func registerSimulation(of machine: SimulatedHost, on server: VarlinkServer) {
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
    }
}

extension SimulatedHost {
    /// The device that a call is about.
    fileprivate func address(_ device: Simulation.DeviceAddress) throws(ErrorReply) -> DeviceAddress {
        guard device.bus.utf8.count <= 255, device.name.utf8.count <= 255 else { throw .invalidParameter("device") }
        guard let address = DeviceAddress(bus: device.bus, name: device.name), self[address] != nil else {
            throw ErrorReply(Simulation.Failure.noSuchDevice(device: device))
        }
        return address
    }

    /// Writes to the simulated sysfs.
    fileprivate func write(_ access: SimulatedKernel.Access) throws(ErrorReply) {
        switch perform({ kernel in kernel.write(access) }) {
        case .done: return
        case .failed(let errno): throw ErrorReply(Simulation.Failure.refused(errnoName: errno.description))
        case .blocked: throw ErrorReply(Simulation.Failure.blocked)
        }
    }
}
