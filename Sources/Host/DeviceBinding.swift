// What a takeover finds in a device, changes, and gives back.

import Inventory
import PCI

/// `power/control`: whether the kernel lets the device sleep when it is idle.
public enum PowerControl: String, CaseIterable, Sendable {
    case on, auto
}

/// The attributes of a device that a takeover changes, read together.
public struct DeviceBinding: Equatable, Sendable {
    /// The `driver` link.
    public var driver: String?
    /// The module of the driver; nil for one that is part of the kernel.
    public var module: String?
    /// `driver_override`; nil where none is set.
    public var driverOverride: String?
    /// Whether the device has such an attribute: only some buses do.
    public var canOverride: Bool
    /// nil on kernels without CONFIG_PM.
    public var powerControl: PowerControl?
    /// nil where the device is no PCI device, or the kernel has no CONFIG_PM.
    public var d3coldAllowed: Bool?
    /// Whether there is a `reset`: the kernel knows a way to reset it.
    public var canReset: Bool
    /// What it is; nil where the device is no PCI device.
    public var identification: PCIFunction.Identification?
    /// `enable`: how often the device is enabled. Reading it takes no lock. nil where the device is no PCI device, or
    /// that cannot be read.
    public var enableCount: Int?
    /// `sriov_numvfs`: how many virtual functions it has; nil where it can have none.
    public var virtualFunctionCount: Int?

    public init(
        driver: String? = nil, driverOverride: String? = nil, canOverride: Bool = true,
        powerControl: PowerControl? = nil, d3coldAllowed: Bool? = nil, canReset: Bool = false,
        identification: PCIFunction.Identification? = nil, enableCount: Int? = nil,
        virtualFunctionCount: Int? = nil, module: String? = nil
    ) {
        self.driver = driver
        self.module = module
        self.driverOverride = driverOverride
        self.canOverride = canOverride
        self.powerControl = powerControl
        self.d3coldAllowed = d3coldAllowed
        self.canReset = canReset
        self.identification = identification
        self.enableCount = enableCount
        self.virtualFunctionCount = virtualFunctionCount
    }
}
