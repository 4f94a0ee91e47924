// Whether the platform checks the interrupts that devices send. A device whose interrupts are not remapped can send any
// interrupt to the host, so that vfio and iommufd give it to nobody unless they are told to (allow_unsafe_interrupts;
// vfio_iommu_type1_attach_group in drivers/vfio/vfio_iommu_type1.c, iommufd_device_bind in drivers/iommu/iommufd/device.c).

/// What is known of interrupt remapping.
public struct InterruptRemapping: Equatable, Sendable {
    /// Whether it is on.
    public var isOn: Bool
    /// `allow_unsafe_interrupts` of the module vfio_iommu_type1; nil while that is not loaded.
    public var type1Allows: Bool?
    /// `allow_unsafe_interrupts` of the module iommufd; nil while that is not loaded.
    public var iommufdAllows: Bool?

    public init(isOn: Bool, type1Allows: Bool? = nil, iommufdAllows: Bool? = nil) {
        self.isOn = isOn
        self.type1Allows = type1Allows
        self.iommufdAllows = iommufdAllows
    }

    /// What the chips of interrupts say (/proc/interrupts): on x86 `IR-IO-APIC` and `IR-PCI-MSI` where interrupts are
    /// remapped, without `IR-` where they are not; nil where there are none of these, as on other architectures.
    public init?(interrupts bytes: [UInt8]) {
        let chips = bytes.split { $0 == 0x20 || $0 == 0x0a }.filter { word in
            let word = word.starts(with: "IR-".utf8) ? word.dropFirst(3) : word
            return word.starts(with: "IO-APIC".utf8) || word.starts(with: "PCI-MSI".utf8)
        }
        guard !chips.isEmpty else { return nil }
        isOn = chips.contains { $0.starts(with: "IR-".utf8) }
    }

    /// Whether the kernel is known to give devices to nobody: a module that is not loaded may come with another word.
    public var refusesDevices: Bool {
        let known = [type1Allows, iommufdAllows].compactMap { $0 }
        return !isOn && !known.isEmpty && !known.contains(true)
    }

    /// Why the kernel gives a device to nobody, in words.
    public static let refusal =
        "the platform does not remap interrupts, so that a device could send any interrupt to the host, and the kernel "
        + "gives no device to a process (EPERM)"

    /// What would change that, in words.
    public static let remedy =
        "switch interrupt remapping on (in the firmware; without intremap=off or nointremap on the kernel's command line; "
        + "virtio-iommu has none); or, where all that runs in the guests is trusted, set allow_unsafe_interrupts=1 of the "
        + "modules iommufd and vfio_iommu_type1, in /sys/module/*/parameters or modprobe.d"
}
