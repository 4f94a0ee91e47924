// What a call is about: a group, named in one of three ways, and devices.

public import GroupAPI

/// Names one group.
public enum GroupSubject: Equatable, Sendable {
    /// The group with this identity, as `pci0000-00_01.0_00.0`.
    case group(String)
    /// The group that this device is in.
    case device(Groups.DeviceAddress)
    /// The group that holds this kernel group, by its number in `/sys/kernel/iommu_groups`.
    case kernelGroup(Int)

    var id: String? { if case .group(let id) = self { id } else { nil } }
    var device: Groups.DeviceAddress? { if case .device(let address) = self { address } else { nil } }
    var kernelGroup: Int? { if case .kernelGroup(let number) = self { number } else { nil } }
}

extension Groups.DeviceAddress {
    /// A PCI function.
    ///
    /// - Parameter name: its address with the domain, as in `/sys/bus/pci/devices`: `0000:01:00.0`.
    /// - Returns: its address.
    public static func pci(_ name: String) -> Groups.DeviceAddress { .init(bus: "pci", name: name) }
}

extension Claims.DeviceAddress {
    /// A PCI function.
    ///
    /// - Parameter name: its address with the domain, as in `/sys/bus/pci/devices`: `0000:01:00.0`.
    /// - Returns: its address.
    public static func pci(_ name: String) -> Claims.DeviceAddress { .init(bus: "pci", name: name) }
}

extension Claims.Selector {
    /// Selects a group by its identity.
    ///
    /// - Parameter id: the identity, as `pci0000-00_01.0_00.0`.
    /// - Returns: the selector.
    public static func group(_ id: String) -> Claims.Selector { .init(group: id) }

    /// Selects the group that a device is in.
    ///
    /// - Parameter address: the device.
    /// - Returns: the selector.
    public static func device(_ address: Claims.DeviceAddress) -> Claims.Selector { .init(device: address) }
}
