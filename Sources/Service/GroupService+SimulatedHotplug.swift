// The part of io.vfiogroupd.Simulation that plugs devices in and pulls them out.

import EventLoop
import GroupAPI
import Grouping
import Inventory
import PCI
import Registry
import SimulatedHost
import Varlink

extension GroupService {
    func registerHotplug(of machine: SimulatedHost) {
        server.answer(Simulation.Plug.self) { [unowned self] (call) throws(ErrorReply) in
            let new = try NewFunction(call.parameters, on: machine)
            let position = try position(call.parameters, on: machine)
            let inventory = machine.kernel.inventory
            let placed: (device: Device, place: SimulatedKernel.Place)
            do throws(NewFunction.Misplaced) { placed = try new.placed(position, in: inventory) } catch {
                throw ErrorReply(Simulation.Failure.noPlace(device: call.parameters.device, reason: error.reason))
            }
            do throws(KernelErrno) {
                try machine.change { (kernel) throws(KernelErrno) in
                    try kernel.plug(placed.device, into: placed.place)
                }
            } catch { throw ErrorReply(Simulation.Failure.refused(errnoName: error.description)) }
            let plugged = machine[.pci(new.address)]
            return Answer(.init(kernelGroup: plugged?.kernelGroup, driver: plugged?.driver))
        }
        server.answer(Simulation.Unplug.self) { (call) throws(ErrorReply) in
            let address = try machine.address(call.parameters.device)
            try machine.check(machine.change { kernel in kernel.unplug(address) })
            return Answer(.init())
        }
    }

    /// What a call says of the kernel group that the function comes into.
    private func position(
        _ parameters: Simulation.Plug.Parameters, on machine: SimulatedHost
    ) throws(ErrorReply) -> NewFunction.Position {
        switch (parameters.group, parameters.port) {
        case (let name?, nil):
            guard let id = GroupID(name), let record = snapshot.group(id) else {
                throw ErrorReply(Simulation.Failure.noSuchGroup(group: name))
            }
            return .inGroup(record.members.first?.device.kernelGroup)
        case (nil, let port?):
            guard let bridge = try machine.address(port).pci else { throw .invalidParameter("port") }
            return .behind(bridge)
        case (nil, nil): throw .invalidParameter("group")
        case (_?, _?): throw .invalidParameter("port")
        }
    }
}

extension NewFunction {
    /// The function that a call describes.
    @LoopActor
    fileprivate init(_ parameters: Simulation.Plug.Parameters, on machine: SimulatedHost) throws(ErrorReply) {
        guard let address = try machine.parse(parameters.device).pci else { throw .invalidParameter("device") }
        guard let vendor = UInt16(exactly: parameters.vendorId ?? 0x8086) else { throw .invalidParameter("vendorId") }
        guard let device = UInt16(exactly: parameters.deviceId ?? 0x10d3) else { throw .invalidParameter("deviceId") }
        guard let code = UInt32(exactly: parameters.classCode ?? 0x020000), code <= 0xff_ffff else {
            throw .invalidParameter("classCode")
        }
        let driver = parameters.driver
        guard driver.map({ !$0.isEmpty && $0.utf8.count < 64 && !$0.contains("\n") }) ?? true else {
            throw .invalidParameter("driver")
        }
        self.init(
            at: address,
            .init(vendorID: vendor, deviceID: device, classCode: ClassCode(rawValue: code)), driver: driver)
    }
}
