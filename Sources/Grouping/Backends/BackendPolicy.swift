// Which backend decides for which host bridge: chosen by what the kernel offers, or forced by the administrator.

import Inventory
import PCI

/// The choice of a backend, and why it was made.
public struct BackendChoice: Equatable, Sendable {
    /// The backend.
    public var backend: BackendName
    /// Why, in words.
    public var reason: String

    public init(backend: BackendName, reason: String) {
        self.backend = backend
        self.reason = reason
    }
}

/// How backends are chosen.
public enum BackendPolicy: Equatable, Sendable {
    /// By what the platform and the kernel offer.
    case auto
    /// The same for every host bridge.
    case forced(BackendName)
    /// Another one for some host bridges.
    indirect case byHostBridge([HostBridgeID: BackendPolicy], otherwise: BackendPolicy)

    /// The choice for a host bridge, whose devices these are. The kernel's groups count for the machine, not for the host bridge: with
    /// virtio-iommu a device has no group before its driver probes it, and a host bridge must not change its backend,
    /// and with it the identity of its groups, when the first driver does.
    public func choice(for hostBridge: HostBridge, devices: [Device], in inventory: Inventory) -> BackendChoice {
        switch self {
        case .byHostBridge(let policies, let otherwise):
            (policies[hostBridge.id] ?? otherwise).choice(for: hostBridge, devices: devices, in: inventory)
        case .forced(let backend):
            BackendChoice(backend: backend, reason: "forced by the administrator")
        case .auto where PartitionableEndpointBackend.applies(to: hostBridge, devices, in: inventory):
            BackendChoice(
                backend: .partitionableEndpoint, reason: "the platform has partitionable endpoints below it")
        case .auto where inventory.hostBridges.contains { $0.partitioning != nil }:
            BackendChoice(
                backend: .hostBridge,
                reason: "the platform is POWER and says nothing about partitionable endpoints below it")
        case .auto where inventory.hasPCIKernelGroups:
            BackendChoice(backend: .kernel, reason: "the kernel has IOMMU groups for PCI devices")
        case .auto:
            BackendChoice(
                backend: .hostBridge,
                reason: "the kernel has no IOMMU groups for PCI devices, so nothing finer than a host bridge is known")
        }
    }
}

/// The backends as far as they are needed, each made once a host.
struct Backends {
    private let inventory: Inventory
    private var made: [BackendName: any Backend] = [:]

    init(for inventory: Inventory) { self.inventory = inventory }

    /// The backend of this name.
    subscript(_ name: BackendName) -> any Backend {
        mutating get {
            if let backend = made[name] { return backend }
            let backend: any Backend =
                switch name {
                case .hostBridge: HostBridgeBackend()
                case .partitionableEndpoint: PartitionableEndpointBackend()
                case .kernel: KernelBackend()
                case .predicted: PredictedBackend(for: inventory)
                }
            made[name] = backend
            return backend
        }
    }
}
