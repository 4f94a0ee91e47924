// A kernel with the real one's habits and no machine below it: a value that changes only when it is called, without
// I/O, threads or a clock. This comment is its specification, and Documentation/simulation.md retells it. Sources: [lab]
// is the section "VFIO in runs" of Documentation/kernel.md, [own] its section "Ownership", [law N] its laws, measured on
// real kernels where they say [run]; [V] was read in the kernel's source and not run.
//
// Drivers
//  1. A write of "\n" clears driver_override, a write of no bytes changes nothing [law 6].
//  2. With an override only the driver of that name matches: a probe passes others by, and binding one by name fails
//     ENODEV [own: pins]. A name that no driver has keeps every driver off, also over rescan of the bus [own: pins].
//  3. vfio drivers take a device only by override; an override loads no module [law 6, 8].
//  4. drivers_probe returns success though nothing was bound, also when the probe failed [law 6, lab: bridge].
//  5. vfio-pci on a bridge: the probe fails -22 and the bridge stays driverless. pci-stub binds [lab, own: Bridges].
//  6. A module that is loaded takes every driverless device that it matches [law 3].
//  7. Takeover is announced in the order remove net, unbind, add vfio/N, add vfio-dev/vfioN (with DEVNAME only where
//     there are cdevs), bind DRIVER=vfio-pci [lab: takeover uevents].
//  8. Remove and rescan: the override is lost and the host driver binds [lab]. The group has the lowest free number [lab].
//  9. vfio-pci sets power/control to auto and, when it has let go, to on [V: vfio_pci_core_unregister_device], a host
//     driver to on; d3cold_allowed stays as it was written [own: power].
// 10. A reset through sysfs is not refused while vfio is bound; a device without a method has no such file, and
//     VFIO_DEVICE_RESET is EINVAL [own: Reset].
//
// Groups
// 11. A group is viable when no member has a driver that may do DMA; driverless members, pci-stub, pcieport and vfio
//     do not count, shpchp does [lab, own: Bridges, law 1]. Before 5.19 any driver on a bridge was accepted [law 1].
// 12. The group is owned from SET_CONTAINER to UNSET_CONTAINER or close, or while a cdev is bound. Bound devices, pins,
//     an open group and an open cdev own nothing [own: What gives ownership].
// 13. In an owned group a host driver's bind is EBUSY and drivers_probe EINVAL; binding vfio-pci works [lab].
// 14. With only the group open the host driver binds, and the group is no longer viable [lab].
// 15. With a member on a host driver the flags are 0, SET_CONTAINER and cdev BIND fail EPERM [lab].
// 16. The second open of a group is EBUSY; GET_DEVICE_FD before a container is set EINVAL [lab].
// 17. Unbinding the last device makes /dev/vfio/N go; GROUP_GET_STATUS of an old descriptor is ENODEV [lab].
// 18. Two groups may share a container [lab].
// 19. IOVA ranges leave out the reserved regions and what lies above the aperture; mapping there is EINVAL [lab].
//     Without interrupt remapping SET_IOMMU and BIND are EPERM, unless the module's allow_unsafe_interrupts is on
//     [lab: virtio-iommu].
// 20. Nodes in /dev come and go later than their uevents: with `settle` [law 10]. They are root's with mode 0600, and
//     somebody else's open of one is EACCES, until somebody changes that; a node that comes again is root's [lab: node
//     modes].
//
// cdevs
// 21. A cdev opens twice, binds once: a second BIND is EINVAL, with any iommufd [lab, own].
// 22. BIND while the legacy group is open is EBUSY, and so is the reverse; GET_INFO before BIND is EINVAL [lab].
// 23. While one member is bound, others bind to the same iommufd; to another it is EPERM [own].
//     The members of a group can only be attached to one address space; to another it is EINVAL
//     [V: iommufd_hw_pagetable_attach].
// 24. A descriptor that was passed on keeps what it owns until its last copy is closed [own: SCM_RIGHTS].
//
// Blocking
// 25. Unbind and removal while a device descriptor or a cdev is open block; the driver link goes at once, and so does
//     vfio-dev, announced, on 6.12; on 6.1 it goes at the end, and nothing is announced before that (seen on 6.1.192).
//     REQ reaches device descriptors and bound cdevs, not cdevs that are merely open; with the holder's close they end
//     [lab, own].
// 26. Unbind with only the group or container open does not block; GET_DEVICE_FD is ENODEV then [lab].
// 27. A removal that blocks leaves the device in sysfs until it ends [lab: device_del].
// 28. While an unbind is blocked, driver_override cannot be read or written on 6.1; on 6.12 it can [law 6]. All that
//     takes the device lock waits: bind, unbind, drivers_probe, sriov_numvfs, reset [law 6, V]. While a removal is
//     blocked, every other removal and rescan of the host waits [V: pci_lock_rescan_remove].
//
// Hotplug and SR-IOV
// 29. A device plugged into an owned group is only announced by `add`, the log says "device attach failed (-16)", and
//     it stays driverless after the release until drivers_probe [lab].
// 30. Plugged into a group that is on vfio and not owned, it gets its host driver: the group is not viable [lab].
// 31. Behind an empty port it has a new group, with the lowest free number: numbers are reused [lab].
// 32. drivers_autoprobe=0 does not keep drivers from hot-added devices before 7.3 [lab].
// 33. sriov_numvfs makes VFs appear, each with a group, and vanish; from one count to another it is EBUSY, above the
//     total ERANGE, without a driver that can do it ENOENT; unbinding the PF takes its VFs away, unless its driver
//     leaves them behind, which the kernel only warns of [V: pci_iov_remove]. VFs that are made
//     again are in the groups of the hardware, as before, and have lost their overrides [V: pci_iov_add_virtfn].
//     Reading sriov_numvfs waits for the device lock [V: sriov_numvfs_show, since 5.5]. A VF that is taken away loses
//     physfn, and its PF virtfnN, before its driver is asked: one that blocks shows as none [V: pci_iov_remove_virtfn].
// 34. A VMD is a function whose driver makes a PCI domain behind it. Unbinding the driver removes that domain, first the
//     devices in it, who has one of them open is waited for; a rescan does not find them; binding the driver makes them
//     anew, and they are probed [V: vmd_remove, vmd_enable_domain].

import Host
import Inventory
import PCI

/// A fake kernel, fed by an inventory.
public struct SimulatedKernel: Sendable {
    /// The habits that depend on the release.
    public let configuration: Configuration
    /// What was announced, in order; of very much, the end.
    public internal(set) var uevents: [Uevent] = []
    /// How much was announced so far.
    public private(set) var ueventCount = 0
    /// The kernel's log, as far as it says something here.
    public internal(set) var log: [String] = []

    let release: KernelRelease?
    let commandLine: KernelCommandLine?
    /// May be changed by an administrator at any time, which nothing announces.
    public var interrupts: InterruptRemapping?
    let hostBridges: [HostBridge]
    let translationUnits: [TranslationUnit]
    let slots: [Slot]
    let warnings: [InventoryWarning]

    var devices: [DeviceAddress: SimulatedDevice] = [:]
    var groups: [Int: SimulatedGroup] = [:]
    var drivers: [KernelDriver] = []
    /// Whether drivers leave their virtual functions behind when they let go of a physical one.
    public var leavesVirtualFunctions = false
    var autoprobes = true
    /// What remove took away and rescan finds again.
    var removed: [DeviceAddress: SimulatedDevice] = [:]
    /// What the domain of a VMD held when its driver let go, by the VMD, until its driver takes it again.
    var closedDomains: [DeviceAddress: [SimulatedDevice]] = [:]

    var files: [File: OpenFile] = [:]
    var nodes: [Node: NodeInDev] = [:]
    var pending: [PendingCall] = []
    /// The locks of all pending calls.
    var heldLocks: Set<Lock> = []
    var outcomes: [Operation: Outcome] = [:]
    var faults: [SimulatedFault] = []
    var counter = 0

    /// The kernel of a host as the inventory shows it; every driver that is bound is loaded, and every node is there.
    public init(_ inventory: Inventory, configuration: Configuration? = nil) {
        self.configuration = configuration ?? Configuration(inventory.kernel)
        release = inventory.kernel
        commandLine = inventory.commandLine
        interrupts = inventory.interrupts
        hostBridges = inventory.hostBridges
        translationUnits = inventory.translationUnits
        slots = inventory.slots
        warnings = inventory.warnings
        drivers = [KernelDriver("vfio-pci", isLoaded: false), KernelDriver("pci-stub", isLoaded: false)]
        for group in inventory.kernelGroups {
            groups[group.number] = SimulatedGroup(attributes: group, partition: group.number)
        }
        for device in inventory.devices { adopt(device) }
        for device in inventory.devices { bindVFIO(device.address) }
        settle()
        uevents = []
    }

    private mutating func adopt(_ device: Device) {
        if let number = device.kernelGroup, groups[number] == nil {
            // Listed by its member alone, it is not listed by `inventory` either.
            groups[number] = SimulatedGroup(
                attributes: KernelGroup(number: number), partition: number, isListed: false)
        }
        var state = SimulatedDevice(device)
        state.partition = device.kernelGroup
        if let driver = device.driver {
            learn(driver, of: device)
            state.binding = .bound(driver)
            state.powerControl = self.driver(named: driver)?.kind == .vfio ? .auto : .on
        }
        devices[device.address] = state
    }

    /// What a scan of sysfs sees now. Of a kernel that nothing happened to, it is what the kernel was made from.
    public var inventory: Inventory {
        Inventory(
            kernel: release, commandLine: commandLine, interrupts: interrupts, hostBridges: hostBridges.filter(isOpen),
            devices: devices.values.map(visible),
            kernelGroups: groups.values.filter(\.isListed).map(\.attributes), translationUnits: translationUnits,
            slots: slots, warnings: warnings)
    }

    /// The device as a scan sees it now.
    public subscript(_ address: DeviceAddress) -> Device? { devices[address].map(visible) }

    private func visible(_ state: SimulatedDevice) -> Device {
        var device = state.device
        device.driver = state.driverLink
        if state.isUnlinked, var function = device.pci {
            function.virtualFunction = nil
            device.kind = .pci(function)
        }
        if configuration.overrideTakesDeviceLock, isLocked(.device(device.address)) {
            device.driverOverride = .unknown(.deviceBusy)
        }
        return device
    }

    /// A number that was never given before.
    mutating func nextNumber() -> Int {
        counter += 1
        return counter
    }

    mutating func announce(
        _ action: String, _ subsystem: String, _ name: String, driver: String? = nil, node: String? = nil
    ) {
        ueventCount += 1
        if uevents.count == 20_000 { uevents.removeFirst(10_000) }
        uevents.append(Uevent(action: action, subsystem: subsystem, name: name, driver: driver, node: node))
    }
}
