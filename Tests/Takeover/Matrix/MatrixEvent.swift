// What may happen at any moment to a daemon, to the programs that it serves and to the devices that it holds.

import EventLoop
import Host
import Inventory
import Registry
import TestSupport

@testable import SimulatedHost
@testable import Takeover

/// Something that happens once, between two effects.
enum MatrixEvent: String, CaseIterable, Sendable {
    /// By the OOM killer or by anybody else: nothing is undone.
    case daemonKilled
    case consumerOpens, consumerBinds, consumerCloses, consumerDies
    case ownerDies
    case foreignUnbind, foreignBind, foreignOverride
    case hotAdd, unplug, replacement
    case moduleLoad, moduleUnload
    case virtualFunctionsChange
    case journalFull, outOfDescriptors
    case neverReturns

    /// Whether it is the effect itself that goes wrong. Whatever else happens comes after it, before the daemon looks again
    /// for its next step: between a look and the call that rests on it no program can look once more.
    var goesWrong: Bool { self == .journalFull || self == .neverReturns || self == .outOfDescriptors }
}

/// The world that an event meets.
@LoopActor
struct MatrixWorld {
    let machine: TestMachine
    let scenario: MatrixScenario
    let life: Life
    /// nil while one starts.
    let daemon: MortalDaemon?
    /// Which member it meets.
    let choice: Int

    private var host: SimulatedHost { machine.host }
    private var member: DeviceAddress { scenario.members[choice % scenario.members.count] }

    /// Has the event happen, at an effect.
    ///
    /// - Returns: the devices that are not the daemon's to answer for from then on; nil where the event cannot happen.
    func meets(
        _ event: MatrixEvent, _ effect: Life.Effect, _ consumer: inout SimulatedConsumer?
    ) -> Set<DeviceAddress>? {
        switch event {
        case .daemonKilled: return []
        case .consumerOpens, .consumerBinds, .consumerCloses, .consumerDies:
            return act(event, &consumer)
        case .ownerDies: host.endProcess(machine.client)
        case .foreignUnbind, .foreignBind, .foreignOverride: return meddle(event)
        case .hotAdd, .unplug, .replacement: return plug(event)
        case .moduleLoad, .moduleUnload: return changeModules(event)
        case .virtualFunctionsChange:
            guard scenario.members != TestMachine.triple, let physical = MatrixScenario.physical.pci else { return nil }
            let count = host.kernel.virtualFunctions(of: MatrixScenario.physical).isEmpty ? 1 : 0
            host.perform { kernel in
                _ = kernel.write(.numVFs(physical, count))
                kernel.settle()
            }
            return Set([MatrixScenario.physical] + MatrixScenario.virtual)
        case .journalFull: life.isJournalFull = true
        case .outOfDescriptors:
            guard let daemon else { return nil }
            daemon.host.unknown = Set(MortalHost.Unknown.allCases)
        case .neverReturns:
            guard case .call(let call) = effect, let (step, device) = host.fault(of: call) else { return nil }
            host.perform { $0.inject(SimulatedFault(step, of: device, .neverReturns)) }
        }
        return []
    }

    private func act(_ event: MatrixEvent, _ consumer: inout SimulatedConsumer?) -> Set<DeviceAddress>? {
        guard consumer != nil else { return nil }
        switch event {
        case .consumerOpens: consumer?.open(on: host)
        case .consumerBinds: consumer?.bind(on: host)
        case .consumerCloses: consumer?.close(on: host)
        default: consumer?.end(on: host)
        }
        return []
    }

    private func meddle(_ event: MatrixEvent) -> Set<DeviceAddress>? {
        let member = member
        guard let driver = host.kernel[member]?.driver ?? (event == .foreignUnbind ? nil : "") else { return nil }
        host.perform { kernel in
            switch event {
            case .foreignUnbind: _ = kernel.write(.unbind(member, from: driver))
            case .foreignOverride: _ = kernel.write(.driverOverride(member, "another\n"))
            default:
                _ = kernel.write(.driverOverride(member, "\n"))
                if !driver.isEmpty { _ = kernel.write(.unbind(member, from: driver)) }
                _ = kernel.write(.driversProbe(member))
            }
            kernel.settle()
        }
        return dependents(of: member)
    }

    private func plug(_ event: MatrixEvent) -> Set<DeviceAddress>? {
        let member = member
        // The kernel makes and unmakes virtual functions itself.
        guard !MatrixScenario.virtual.contains(member) else { return nil }
        let group = host.kernel[member]?.kernelGroup
        let parent = host.kernel[member]?.pci?.parent
        if event == .hotAdd {
            guard scenario.members == TestMachine.triple, let group else { return nil }
            let new = pciDevice("0000:02:00.3", parent: "0000:00:02.0", driver: "xhci_hcd")
            try? host.perform { (kernel) throws(KernelErrno) in try kernel.plug(new, into: .group(group)) }
            host.perform { $0.settle() }
            return [new.address]
        }
        let gone = dependents(of: member)
        host.perform { kernel in
            _ = kernel.unplug(member)
            kernel.settle()
        }
        if event == .replacement {
            // Where the kernel waits for somebody to close the first, the second cannot be seen.
            guard let group, host.kernel[member] == nil, let parent else { return gone }
            // One that a host driver takes, or one that vfio-pci was told to take (ids=).
            let driver = choice % 2 == 0 ? "another" : "vfio-pci"
            let other = pciDevice(member.name, parent: "\(parent)", driver: driver, id: 0x4711)
            try? host.perform { (kernel) throws(KernelErrno) in try kernel.plug(other, into: .group(group)) }
            host.perform { $0.settle() }
        }
        return gone
    }

    private func changeModules(_ event: MatrixEvent) -> Set<DeviceAddress>? {
        guard scenario.members == TestMachine.triple else { return nil }
        if event == .moduleUnload {
            host.perform { kernel in
                kernel.unloadModule("nvidia")
                kernel.settle()
            }
            return [TestMachine.triple[0]]
        }
        let driverless = TestMachine.triple[2]
        host.perform { kernel in
            kernel.register(KernelDriver("stray", matches: [.address(driverless)], isLoaded: false))
            try? kernel.loadModule("stray")
            kernel.settle()
        }
        return [driverless]
    }

    /// A member, and what comes and goes with its driver.
    private func dependents(of member: DeviceAddress) -> Set<DeviceAddress> {
        member == MatrixScenario.physical ? Set([member] + MatrixScenario.virtual) : [member]
    }
}

extension SimulatedHost {
    /// The fault that stops a call; nil where none does.
    fileprivate func fault(of call: KernelCall) -> (SimulatedFault.Step, DeviceAddress)? {
        func device(behind file: KernelFile) -> DeviceAddress? {
            files.file(file).flatMap { kernel.kind($0) }.flatMap { kernel.devicesBehind($0).first }
        }
        func fault(_ step: SimulatedFault.Step, _ device: DeviceAddress?) -> (SimulatedFault.Step, DeviceAddress)? {
            device.map { (step, $0) }
        }
        return switch call {
        case .setDriverOverride(let device, _): (.writeDriverOverride, device)
        case .unbind(let clearance, _): (.unbind, clearance.device)
        case .probe(let device): (.driversProbe, device)
        case .reset(let clearance): (.reset, clearance.device)
        case .setVirtualFunctions(let clearance, _): (.setNumVFs, clearance.device)
        case .setPowerControl(let device, _): (.setPowerControl, device)
        case .setD3coldAllowed(let device, _): (.setD3coldAllowed, device)
        case .open(.cdev(let device)): (.openCdev, device)
        case .open(.group(let number)): fault(.openGroup, kernel.members(ofGroup: number).first)
        case .setPermissions(.cdev(let device), _): (.setPermissions, device)
        case .setPermissions(.group(let number), _): fault(.setPermissions, kernel.members(ofGroup: number).first)
        case .setContainer(let group, _): fault(.setContainer, device(behind: group))
        case .getDevice(let device, _): (.getDevice, device)
        case .bindIOMMUFD(let cdev, _): fault(.bindIOMMUFD, device(behind: cdev))
        case .attach(let cdev, _): fault(.attach, device(behind: cdev))
        case .detach(let cdev): fault(.detach, device(behind: cdev))
        case .close(let file): fault(.close, device(behind: file))
        case .loadModule, .announce, .setPermissions, .open, .setIOMMU, .allocateIOAS, .isBound, .hasContainer,
            .containerRanges, .ioasRanges:
            nil
        }
    }
}
