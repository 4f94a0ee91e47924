// What the kernel was told at boot about IOMMU and PCI. Only those words are kept: the rest of a command line names disks
// and machines, and snapshots must not.

/// The parameters of /proc/cmdline that decide about isolation, in their order.
public struct KernelCommandLine: Equatable, Sendable {
    /// The parameters as they were written: `intel_iommu=on`, `pcie_acs_override=downstream,multifunction`.
    public var parameters: [String]

    /// The names that count, as the kernel writes them (Documentation/admin-guide/kernel-parameters.txt). The override
    /// is in no kernel.org release: distributions and users patch it in.
    private static let names: Set = [
        "amd_iommu", "intel_iommu", "iommu", "iommu.passthrough", "iommu.strict", "pci", "pcie_acs_override",
        "vfio.enable_unsafe_noiommu_mode", "vfio_iommu_type1.allow_unsafe_interrupts",
    ]

    /// Takes these parameters as they are.
    public init(parameters: [String]) { self.parameters = parameters }

    /// Reads a whole command line and keeps what counts. A quoted value may have spaces in it, and what stands behind
    /// `--` is for init (parse_args, kernel/params.c).
    public init(reading text: String) {
        var words: [[UInt8]] = [[]]
        var isQuoted = false
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): isQuoted.toggle()
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\t"):
                if isQuoted { words[words.count - 1].append(byte) } else { words.append([]) }
            default: words[words.count - 1].append(byte)
            }
        }
        parameters = words.prefix { !$0.elementsEqual("--".utf8) }
            .map { String(decoding: $0, as: UTF8.self) }
            .filter { Self.names.contains(Self.name(of: $0)) }
    }

    /// The values of a parameter in their order: `downstream` and `multifunction` of `NAME=downstream,multifunction`.
    public func values(of name: String) -> [String] {
        parameters.filter { Self.name(of: $0) == name }.flatMap { parameter in
            parameter.drop { $0 != "=" }.dropFirst().split(separator: ",").map(String.init)
        }
    }

    /// The parameter that makes a patched kernel believe in isolation that the hardware does not give; nil without it.
    public var accessControlOverride: String? { parameters.first { Self.name(of: $0) == "pcie_acs_override" } }

    /// Whether it changes what ports isolate (`pci=disable_acs_redir=`, `pci=config_acs=`, drivers/pci/pci.c).
    public var changesAccessControl: Bool {
        values(of: "pci").contains { $0.hasPrefix("disable_acs_redir=") || $0.hasPrefix("config_acs=") }
    }

    /// The kernel takes `-` and `_` in names for the same.
    private static func name(of parameter: String) -> String {
        String(parameter.prefix { $0 != "=" }.map { $0 == "-" ? "_" : $0 })
    }
}
