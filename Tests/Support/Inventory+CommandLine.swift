// The same machine, told something else at boot.

import Inventory

extension Inventory {
    /// This inventory of a kernel with another command line.
    public func booted(with commandLine: String) -> Inventory {
        Inventory(
            kernel: kernel, commandLine: KernelCommandLine(reading: commandLine), interrupts: interrupts,
            hostBridges: hostBridges, devices: devices, kernelGroups: kernelGroups, translationUnits: translationUnits,
            slots: slots, warnings: warnings)
    }
}
