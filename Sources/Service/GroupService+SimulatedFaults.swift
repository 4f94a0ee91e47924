// The part of io.vfiogroupd.Simulation that makes calls go wrong, and says what the machine uses its devices for.

import EventLoop
import GroupAPI
import Host
import Inventory
import SimulatedHost
import Varlink

extension GroupService {
    func registerFaults(of machine: SimulatedHost) {
        server.answer(Simulation.InjectFault.self) { (call) throws(ErrorReply) in
            let fault = try SimulatedFault(call.parameters, at: machine.address(call.parameters.device))
            machine.change { kernel in kernel.inject(fault) }
            return Answer(.init())
        }
        server.answer(Simulation.ClearFaults.self) { _ in
            Answer(.init(count: machine.change { kernel in kernel.clearFaults() }))
        }
        server.answer(Simulation.ReleaseBlocked.self) { _ in
            Answer(.init(count: machine.change { kernel in kernel.releaseAll() }))
        }
        server.answer(Simulation.SetReset.self) { (call) throws(ErrorReply) in
            let address = try machine.address(call.parameters.device)
            let reset = SimulatedKernel.Reset(call.parameters.method)
            machine.change { kernel in kernel.setReset(reset, of: address) }
            return Answer(.init())
        }
        server.answer(Simulation.SetUses.self) { (call) throws(ErrorReply) in
            let address = try machine.address(call.parameters.device)
            let uses = try DeviceUse.all(call.parameters, of: address)
            machine.uses.removeAll { $0.device == address }
            machine.uses += uses
            return Answer(.init())
        }
    }
}

extension SimulatedFault {
    /// The fault that a call describes.
    fileprivate init(
        _ parameters: Simulation.InjectFault.Parameters, at address: DeviceAddress
    ) throws(ErrorReply) {
        guard let step = Step(rawValue: parameters.step.rawValue) else { throw .invalidParameter("step") }
        let effect: Effect
        if let name = parameters.errnoName {
            guard let errno = KernelErrno.allCases.first(where: { $0.description == name }) else {
                throw ErrorReply(
                    Simulation.Failure.noSuchErrno(
                        errnoName: name.utf8.count <= 64 ? name : "",
                        available: KernelErrno.allCases.map(\.description)))
            }
            effect = .fails(errno)
        } else {
            guard step != .probe else { throw ErrorReply(Simulation.Failure.cannotBlock(step: parameters.step)) }
            effect = .neverReturns
        }
        self.init(step, of: address, effect, parameters.always == true ? .always : .once)
    }
}

extension SimulatedKernel.Reset {
    /// A function-level reset whose device does not come back is ENOTTY on a real kernel (pci_dev_wait).
    fileprivate init(_ method: Simulation.ResetMethod) {
        switch method {
        case .works: self = .works
        case .fails: self = .fails(.enotty)
        case .absent: self = .absent
        }
    }
}

extension DeviceUse {
    /// The uses that a call names.
    fileprivate static func all(
        _ parameters: Simulation.SetUses.Parameters, of device: DeviceAddress
    ) throws(ErrorReply) -> [DeviceUse] {
        var uses: [DeviceUse] = []
        if let path = parameters.mountPoint {
            guard path.hasPrefix("/"), path.utf8.count < 4096 else { throw .invalidParameter("mountPoint") }
            // Simulated devices have no block devices to be named after.
            uses.append(DeviceUse(device, .mounted(at: path, via: "sda1")))
        }
        if let interface = parameters.defaultRoute {
            guard (1..<16).contains(interface.utf8.count) else { throw .invalidParameter("defaultRoute") }
            uses.append(DeviceUse(device, .route(to: "default", interface: interface)))
        }
        if parameters.bootDisplay == true { uses.append(DeviceUse(device, .bootDisplay)) }
        for other in parameters.others ?? [] {
            guard other.name.map({ (1...256).contains($0.utf8.count) }) ?? true else {
                throw .invalidParameter("others")
            }
            guard let kind = Kind(simulated: other.kind, name: other.name) else {
                throw ErrorReply(
                    Simulation.Failure.noSuchUse(
                        kind: other.kind.utf8.count <= 64 ? other.kind : "", available: Kind.simulatedWords))
            }
            uses.append(DeviceUse(device, kind))
        }
        return uses
    }
}
