// A made-up POWER9 server: its groups are PEs, and the numbers are what the kernel's rules give (Documentation/kernel.md,
// POWER, A), followed by hand.

import PCI

extension SyntheticMachine {
    /// With everything that a privileged reader of a current kernel sees.
    static let powerServer = power("power-server", iommu: .power, sight: .whole)

    /// A listing by lspci of the same machine: no device tree, no group, 256 bytes each.
    public static let powerListing = power("power-listing", iommu: nil, sight: .listing)

    private static func power(_ name: String, iommu: IOMMU?, sight: Sight) -> SyntheticMachine {
        /// Without a device tree the vendor tells that this is POWER.
        func rootPort(_ endpoint: Int, _ below: [SyntheticFunction] = []) -> SyntheticFunction {
            .bridge("00.0", .rootPort, bus: 0x01, id: 0x1014_5eed, below).inEndpoint(endpoint)
        }
        // Of N PEs the firmware keeps N - 1. The root bus gets N - 2, and each bus that is met next the one below.
        return SyntheticMachine(
            name, iommu: iommu, sight: sight,
            [
                HostBridge("pci0000:00", endpoints: 512, [rootPort(510)]),
                HostBridge(
                    "pci0001:00", endpoints: 256,
                    [rootPort(254, [.express("00.0", 0x0c0330, driver: "xhci_hcd").inEndpoint(253)])]),
                HostBridge(
                    "pci0002:00", endpoints: 512,
                    [
                        rootPort(
                            510,
                            [
                                .express("00.0", 0x020000, driver: "tg3").inEndpoint(509),
                                .express("00.1", 0x020000, driver: "tg3").inEndpoint(509),
                            ])
                    ]),
                // Rule 3: one PE has the bridge of type 7 alone, the next all buses behind it.
                HostBridge(
                    "pci0003:00", endpoints: 256,
                    [
                        rootPort(
                            254,
                            [
                                .bridge(
                                    "00.0", .pcieToPCIBridge, bus: 0x02,
                                    [
                                        .conventional("00.0", 0x030000, driver: "ast").inEndpoint(252),
                                        .conventional("02.0", 0x0c0310).inEndpoint(252),
                                        .bridge(
                                            "03.0", nil, bus: 0x03, [.conventional("00.0", 0x070002).inEndpoint(252)]
                                        )
                                        .inEndpoint(252),
                                    ]
                                ).inEndpoint(253)
                            ])
                    ]),
                // The name of its kernel group has the domain in decimal digits.
                HostBridge(
                    "pci0030:00", endpoints: 512,
                    [rootPort(510, [.express("00.0", 0x010802, driver: "nvme").inEndpoint(509)])]),
            ],
            // Rule 4: a bridge that comes before the endpoints of its PE is in no group, one that comes later is.
            groups: [
                "0001:01:00.0", "0002:01:00.0 0002:01:00.1",
                "0003:02:00.0 0003:02:02.0 0003:02:03.0 0003:03:00.0", "0030:01:00.0",
            ])
    }
}
