// In whose hands a member is, told by its driver and by what the kernel counts as taken over.

import Inventory
import PCI

/// The takeover state of a member.
public enum MemberState: String, Sendable, CaseIterable {
    /// A driver that may do DMA has it.
    case host
    /// vfio-pci, another vfio bus driver or a vfio variant driver has it.
    case held
    /// No driver has it.
    case inert
    /// A driver has it that does no DMA of its own and leaves the group's DMA to others.
    case passive
    /// It left the host while its group was in use.
    case removed
}

extension MemberState {
    /// The state of a device as its driver tells it. A kernel whose release is unknown is taken for 5.19 or later,
    /// which is the stricter rule.
    public init(of device: Device, kernel: KernelRelease?) {
        guard let driver = device.driver else {
            self = .inert
            return
        }
        if Self.isVFIO(driver, bus: device.address.bus) {
            self = .held
        } else if Self.drivesNoDMA.contains(Self.moduleName(driver)) {
            self = .passive
        } else if device.isBridge, kernel?.countsOwnership == false {
            // Before 5.19 any driver on a bridge was accepted (vfio_dev_viable, drivers/vfio/vfio.c).
            self = .passive
        } else {
            self = .host
        }
    }

    /// The drivers with `driver_managed_dma` that are no vfio drivers, in 6.1 and 6.12.
    private static let drivesNoDMA: Set = ["pcieport", "pci_stub"]

    /// vfio-pci and its variants end alike (mlx5_vfio_pci, nvgrace-gpu-vfio-pci, ...); on other buses vfio drivers
    /// begin alike (vfio-platform, vfio-fsl-mc, vfio_ap, vfio_ccw).
    private static func isVFIO(_ driver: String, bus: String) -> Bool {
        let name = moduleName(driver)
        if bus == "pci" { return name == "vfio_pci" || name.hasSuffix("_vfio_pci") }
        return name.hasPrefix("vfio_")
    }

    /// Driver names come with dashes or with underscores, by the taste of their authors.
    private static func moduleName(_ driver: String) -> String { String(driver.map { $0 == "-" ? "_" : $0 }) }
}
