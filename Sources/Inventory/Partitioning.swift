// What a platform says about partitionable endpoints (PEs), POWER's unit of isolation. It comes from the device tree,
// from the node of the host bridge.

import PCI

/// How a host bridge makes PEs.
public enum Partitioning: Equatable, Sendable {
    /// PHB3 and later (`ibm,ioda2-phb`, `ibm,ioda3-phb`): numbers are given by the kernel, or by the 64-bit window.
    case ioda(EndpointNumbers)
    /// P7IOC (`ibm,p7ioc-pciex`), the PCI Express bridge of POWER7.
    case p7ioc
    /// A logical host bridge of a partition (`IBM,Logical_PHB`): the firmware decides, and says so by DMA windows.
    case logical
}

/// The PE numbers of a host bridge.
public struct EndpointNumbers: Equatable, Sendable {
    /// How many there are (`ibm,opal-num-pes`); 1 where the node does not say.
    public var count: Int
    /// The one that the firmware keeps (`ibm,opal-reserved-pe`); 0 where the node does not say.
    public var reserved: Int
    /// The 64-bit memory window, whose segment decides the PE of what lies in it (`ibm,opal-m64-window`).
    public var window: M64Window?

    public init(count: Int, reserved: Int, window: M64Window?) {
        self.count = count
        self.reserved = reserved
        self.window = window
    }
}

/// The 64-bit memory window of a host bridge, which is cut into as many segments as there are PEs.
public struct M64Window: Equatable, Sendable {
    /// The first address, as the CPU sees it.
    public var start: UInt64
    /// How many bytes it has.
    public var size: UInt64

    public init(start: UInt64, size: UInt64) {
        self.start = start
        self.size = size
    }
}

extension KernelGroup {
    /// The PE that the kernel made this group of, from its name: `domain%d-pe%lx`, the domain decimal and the PE
    /// hexadecimal (iommu_register_group, arch/powerpc/kernel/iommu.c).
    public var partitionableEndpoint: Int? {
        guard let name, name.hasPrefix("domain") else { return nil }
        let parts = name.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, decimal(String(parts[0])) != nil, parts[1].hasPrefix("pe") else { return nil }
        return Int(parts[1].dropFirst(2), radix: 16)
    }
}
