// What the simulated kernel keeps of one device and of one of its groups.

import Host
import Inventory
import PCI

/// A device and its state in the driver core.
struct SimulatedDevice: Sendable {
    /// Between a driver and a device.
    enum Binding: Equatable, Sendable {
        case none
        case bound(String)
        /// The link is gone, and the driver has not let go yet.
        case leaving(String)
    }

    /// As the inventory has it; its driver is `binding`'s.
    var device: Device
    var binding = Binding.none
    /// N of vfio-dev/vfioN.
    var vfio: VFIODevice?
    /// What of the hardware cannot be isolated from what else: devices with one number always share a group.
    var partition: Int?
    /// What its group showed, kept while the device is removed.
    var groupAttributes: KernelGroup?
    var reset: SimulatedKernel.Reset
    /// A reset of it has returned without an error.
    var wasReset = false
    /// The daemon has pinned it since it came, as it does with all that it takes, or has opened it, as what it adopts; or it
    /// came pinned with a snapshot.
    var wasTaken: Bool
    var powerControl = PowerControl.on
    var allowsD3cold = true
    /// How often vfio asked its holders to let go.
    var requests = 0
    /// It is a virtual function whose links to and from its physical one are gone, and it goes after them.
    var isUnlinked = false
    /// What its virtual functions cannot be isolated from, by their numbers, as they were last seen.
    var virtualPartitions: [Int: Int] = [:]

    init(_ device: Device) {
        self.device = device
        wasTaken = device.driverOverride.value != nil
        reset = device.pci != nil && !device.isBridge ? .works : .absent
    }

    /// The `driver` link.
    var driverLink: String? { if case .bound(let name) = binding { name } else { nil } }

    /// The driver that has the device, with the link or without.
    var driver: String? {
        switch binding {
        case .none: nil
        case .bound(let name), .leaving(let name): name
        }
    }

    var isNetwork: Bool { (device.pci?.identification.classCode?.rawValue ?? 0) >> 16 == 0x02 }
}

/// A device that is registered with vfio.
struct VFIODevice: Equatable, Sendable {
    var number: Int
    var deviceNumber: SimulatedKernel.DeviceNumber
}

/// A kernel group and what vfio made of it.
struct SimulatedGroup: Sendable {
    /// Who the kernel owns the group's DMA for.
    enum Owner: Equatable, Sendable {
        case container(SimulatedKernel.File)
        case iommufd(SimulatedKernel.File)
    }

    var attributes: KernelGroup
    var partition: Int
    /// Whether the inventory listed it among its groups.
    var isListed = true
    var owner: Owner?
    /// /dev/vfio/N, while a member is on a vfio driver.
    var vfio: SimulatedKernel.DeviceNumber?
    /// The one descriptor of /dev/vfio/N.
    var opener: SimulatedKernel.File?
}

extension SimulatedKernel {
    /// What the sysfs file `reset` and VFIO_DEVICE_RESET do.
    public enum Reset: Equatable, Sendable {
        case works
        case fails(KernelErrno)
        /// It says that it worked, and the device answers with ones alone from then on.
        case leavesDead
        /// A reset of the bus is all there is: ENOTTY while another function sits there, before anything is done
        /// (drivers/pci/pci.c, pci_parent_bus_reset).
        case ofBus
        /// The device has no method.
        case absent
    }

    /// Sets what a reset of the device does.
    public mutating func setReset(_ reset: Reset, of address: DeviceAddress) { devices[address]?.reset = reset }

    /// The device's `power/control`; nil without the device.
    public func powerControl(of address: DeviceAddress) -> PowerControl? { devices[address]?.powerControl }

    /// The device's `d3cold_allowed`; nil without the device.
    public func allowsD3cold(_ address: DeviceAddress) -> Bool? { devices[address]?.allowsD3cold }

    /// How many times vfio asked the holders of the device to let go (the REQ eventfd).
    public func requests(for address: DeviceAddress) -> Int { devices[address]?.requests ?? 0 }
}
