// A program that was given devices: what it may do with them, on the simulated kernel.

import EventLoop
import Host
import Inventory

@testable import SimulatedHost
@testable import Takeover

/// A program that was given devices. It outlives whoever claimed them for it, and any daemon.
@LoopActor
struct SimulatedConsumer {
    /// What it was sent.
    private var copies: [KernelFile] = []
    /// What it may open.
    private let nodes: [VFIONode]
    /// Who it is.
    private let user: UInt32
    private var hasEnded = false
    private var opened: [SimulatedKernel.File] = []

    /// One that keeps what it is handed.
    init(_ handover: Handover) {
        nodes = handover.nodes.map(\.node)
        user = handover.user ?? 0
        let files = handover.devices.map(\.file) + handover.groups.map(\.file)
        for file in files + [handover.container, handover.iommufd].compactMap({ $0 }) {
            if let copy = file.copy() { copies.append(KernelFile(owning: copy.release())) }
        }
    }

    /// Opens the nodes that it was given, and the devices of the groups, as far as the kernel lets it.
    mutating func open(on host: SimulatedHost) {
        guard !hasEnded else { return }
        let user = user
        let files = copies.compactMap { host.files.file($0) }
        let nodes = nodes
        opened += host.perform { kernel -> [SimulatedKernel.File] in
            var opened: [SimulatedKernel.File] = []
            for case .cdev(let device) in nodes {
                guard let number = kernel.vfioNumber(of: device), let cdev = try? kernel.openCdev(number, as: user)
                else { continue }
                opened.append(cdev)
            }
            if !nodes.isEmpty, let iommufd = try? kernel.openIOMMUFD() { opened.append(iommufd) }
            for group in files {
                guard case .group(let number, _)? = kernel.kind(group) else { continue }
                for member in kernel.members(ofGroup: number) {
                    if let device = try? kernel.getDevice(group, member) { opened.append(device) }
                }
            }
            return opened
        }
    }

    /// Binds what it has of cdevs to what it has of iommufds.
    mutating func bind(on host: SimulatedHost) {
        let files = copies.compactMap { host.files.file($0) } + opened
        host.perform { kernel in
            for iommufd in files {
                guard case .iommufd? = kernel.kind(iommufd) else { continue }
                for cdev in files {
                    if case .cdev? = kernel.kind(cdev) { try? kernel.bindIOMMUFD(cdev, iommufd) }
                }
            }
        }
    }

    /// Closes what it opened, and keeps what it was sent.
    mutating func close(on host: SimulatedHost) {
        let files = opened
        host.perform { kernel in for file in files { kernel.closeWhateverHappens(file) } }
        opened = []
    }

    /// Ends: nothing of it is open any more.
    mutating func end(on host: SimulatedHost) {
        for file in copies { file.letGo() }
        copies = []
        hasEnded = true
        close(on: host)
        host.collectClosedFiles()
    }
}
