// A host that can be looked at and not changed, such as a captured tree.

import EventLoop
import Inventory

/// Answers the changing half of the seam for a host that cannot be changed.
public protocol ReadOnlyHost: Host {}

extension ReadOnlyHost {
    public nonisolated var bootID: String { name }

    public func readBinding(of device: DeviceAddress) async throws(HostError) -> DeviceBinding? {
        throw .notLive(name: name)
    }

    public func uses(of devices: [DeviceAddress]) async -> [DeviceUse] {
        devices.map { DeviceUse($0, .unknown(reason: HostError.notLive(name: name).description)) }
    }

    public func holders(of devices: [DeviceAddress]) async throws(HostError) -> [DeviceHolder] { [] }

    public func variantDriver(of device: DeviceAddress) async -> String? { nil }

    public func vfioInterfaces() async -> VFIOInterfaces { [] }

    public func prepare(_ call: KernelCall) throws(HostError) -> any KernelWorker { throw .notLive(name: name) }

    public func findWorker(_ id: ProcessIdentity) throws(HostError) -> (any KernelWorker)? { nil }

    public func process(_ pid: Int32) -> ProcessIdentity? { ProcessIdentity(of: pid) }
}
