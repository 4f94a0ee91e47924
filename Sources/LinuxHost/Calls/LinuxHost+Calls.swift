// Calls into the kernel that may never return, and the processes that make them.

import EventLoop
import Host
import Inventory

extension LinuxHost {
    public func prepare(_ call: KernelCall) throws(HostError) -> any KernelWorker {
        try requireWritable()
        switch call {
        case .open(.cdev(let device)): rememberCdev(of: device)
        case .unbind(let clearance, from: _): rememberCdev(of: clearance.device)
        default: break
        }
        return try LinuxWorker(LinuxCall(call, on: self))
    }

    public func findWorker(_ id: ProcessIdentity) throws(HostError) -> (any KernelWorker)? {
        isWritable ? try LeftBehindWorker(id) : nil
    }

    public func process(_ pid: Int32) -> ProcessIdentity? { ProcessIdentity(of: pid) }
}
