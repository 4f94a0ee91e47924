// Calls that do not return: what they wait for, what they hold meanwhile, and how they go on.

import Inventory
import PCI

extension SimulatedKernel {
    enum Lock: Hashable, Sendable {
        case device(DeviceAddress)
        /// pci_lock_rescan_remove: one for the host.
        case rescanRemove
    }

    /// A piece of a call, done without a pause.
    enum WorkStep: Equatable, Sendable {
        case apply(Access)
        /// The link and vfio-dev go, the holders are asked.
        case detach(DeviceAddress)
        case awaitHolders(DeviceAddress)
        case finishDetach(DeviceAddress)
        case erase(DeviceAddress, remembering: Bool)
        /// The same for a device in the domain of a VMD, which remembers it.
        case eraseInDomain(DeviceAddress, of: DeviceAddress)
        /// The links between a virtual function and its physical one go.
        case unlinkVF(DeviceAddress)
        case createVFs(PCIAddress, Int)
        case recordVFs(PCIAddress)
    }

    /// A call that sits in the kernel.
    struct PendingCall: Sendable {
        enum Wait: Equatable, Sendable {
            case locks(Set<Lock>)
            case holders(DeviceAddress)
            /// A fault: until a test releases it.
            case released
        }

        var operation: Operation
        /// nil for a call that changes nothing once it is let go.
        var access: Access?
        var wait: Wait
        var rest: [WorkStep]
        var held: Set<Lock>
    }

    /// The calls that have not returned, the oldest first.
    public var blockedOperations: [Operation] { pending.map(\.operation) }

    /// How the call ended; `.blocked` while it has not.
    public func outcome(of operation: Operation) -> Outcome { outcomes[operation] ?? .blocked(operation) }

    /// Lets a call go on that a fault stopped.
    public mutating func release(_ operation: Operation) {
        guard let index = pending.firstIndex(where: { $0.operation == operation && $0.wait == .released }) else {
            return
        }
        goOn(pending.remove(at: index))
        resumePending()
    }

    /// Lets all calls go on that a fault stopped by now.
    ///
    /// - Returns: how many there were.
    @discardableResult
    public mutating func releaseAll() -> Int {
        let stopped = pending.filter { $0.wait == .released }.map(\.operation)
        for operation in stopped { release(operation) }
        return stopped.count
    }

    /// The ten seconds after which vfio asks the holders of leaving devices again.
    public mutating func remindHolders() {
        for call in pending { if case .holders(let address) = call.wait { request(address) } }
    }

    func isLocked(_ lock: Lock) -> Bool { heldLocks.contains(lock) }

    mutating func park(
        _ access: Access?, until wait: PendingCall.Wait, then rest: [WorkStep], _ held: Set<Lock> = [],
        as operation: Operation? = nil
    ) -> Operation {
        let operation = operation ?? Operation(number: nextNumber())
        pending.append(PendingCall(operation: operation, access: access, wait: wait, rest: rest, held: held))
        heldLocks.formUnion(held)
        return operation
    }

    /// Takes the steps of a call until it ends or has to wait.
    mutating func work(
        _ steps: [WorkStep], _ access: Access?, _ locks: Set<Lock>, as operation: Operation? = nil
    ) -> Outcome {
        for (index, step) in steps.enumerated() {
            if case .awaitHolders(let address) = step, hasHolders(address) {
                let rest = Array(steps[(index + 1)...])
                return .blocked(park(access, until: .holders(address), then: rest, locks, as: operation))
            }
            if let errno = take(step) { return .failed(errno) }
        }
        return .done
    }

    mutating func take(_ step: WorkStep) -> KernelErrno? {
        switch step {
        case .apply(let access): return apply(access)
        case .detach(let address): detach(address)
        case .awaitHolders: break
        case .finishDetach(let address): finishDetach(address)
        case .erase(let address, let remembering): erase(address, remembering: remembering)
        case .eraseInDomain(let address, let maker): eraseInDomain(address, of: maker)
        case .unlinkVF(let address): unlinkVF(address)
        case .createVFs(let address, let count): createVFs(of: address, count)
        case .recordVFs(let address): recordVFs(of: address)
        }
        return nil
    }

    /// Lets every call go on whose wait is over, until none is.
    mutating func resumePending() {
        while let index = pending.firstIndex(where: { isOver($0.wait) }) { goOn(pending.remove(at: index)) }
    }

    private func isOver(_ wait: PendingCall.Wait) -> Bool {
        switch wait {
        case .locks(let locks): !locks.contains(where: isLocked)
        case .holders(let address): !hasHolders(address)
        case .released: false
        }
    }

    private mutating func goOn(_ call: PendingCall) {
        // If it has to wait again, it takes them again.
        heldLocks.subtract(call.held)
        let outcome: Outcome
        switch (call.wait, call.access) {
        case (.locks(let locks), let access?): outcome = start(access, locks, as: call.operation)
        case (.locks(let locks), nil): outcome = work(call.rest, nil, locks, as: call.operation)
        case (.holders, _), (.released, _): outcome = work(call.rest, call.access, call.held, as: call.operation)
        }
        if case .blocked = outcome { return }
        outcomes[call.operation] = outcome
    }
}
