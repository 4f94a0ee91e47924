// Made-up machines of the kinds that people have: each has one thing or another that makes its groups what they are, and
// the groups are what the kernel's rules give (Documentation/kernel.md, grouping rules 1 to 4), followed by hand.

import PCI

extension SyntheticMachine {
    /// A desktop of AMD's: a chipset that is a switch without ACS, dummy host bridges beside the ports, an internal bus
    /// whose functions have an empty ACS capability.
    static let chipsetDesktop = SyntheticMachine(
        "chipset-desktop", iommu: .amd,
        [
            HostBridge(
                "pci0000:00",
                [
                    .conventional("00.0", 0x060000),
                    .conventional("00.2", 0x080600),
                    .conventional("01.0", 0x060000),
                    .bridge("01.1", .rootPort, bus: 0x01, acs: .on, [.express("00.0", 0x010802, driver: "nvme")]),
                    .bridge(
                        "01.2", .rootPort, bus: 0x02, acs: .on,
                        [
                            .express("00.0", 0x0c0330, kind: .legacyEndpoint, driver: "xhci_hcd"),
                            .express("00.1", 0x010601, kind: .legacyEndpoint, driver: "ahci"),
                            .bridge(
                                "00.2", .upstreamPort, bus: 0x03,
                                [
                                    .bridge("00.0", .downstreamPort, bus: 0x04),
                                    .bridge("04.0", .downstreamPort, bus: 0x05, [.express("00.0", 0x028000)]),
                                    .bridge("09.0", .downstreamPort, bus: 0x06, [.express("00.0", 0x020000)]),
                                ]),
                        ]),
                    .conventional("02.0", 0x060000),
                    .conventional("03.0", 0x060000),
                    .bridge(
                        "03.1", .rootPort, bus: 0x08, acs: .on,
                        [
                            .express("00.0", 0x030000, kind: .legacyEndpoint),
                            .express("00.1", 0x040300, driver: "snd_hda_intel"),
                        ]),
                    .conventional("08.0", 0x060000),
                    .bridge(
                        "08.1", .rootPort, bus: 0x0a, acs: .offering(0x07, on: 0x05),
                        [
                            .express("00.0", 0x130000, acs: .empty),
                            .express("00.1", 0x108000, acs: .empty, driver: "ccp"),
                            .express("00.4", 0x040300, acs: .empty, driver: "snd_hda_intel"),
                        ]),
                    .conventional("14.0", 0x0c0500),
                    .conventional("14.3", 0x060100),
                    .conventional("18.0", 0x060000),
                    .conventional("18.3", 0x060000, driver: "k10temp"),
                    .conventional("18.7", 0x060000),
                ])
        ],
        // 00.0 and the IOMMU beside it are in none.
        groups: [
            // Rule 1.4: of a slot only those functions are together that fail. The ports beside the dummies pass.
            "00:01.0", "00:01.1", "00:01.2", "00:02.0", "00:03.0", "00:03.1", "00:08.0", "00:08.1",
            "00:14.0 00:14.3", "00:18.0 00:18.3 00:18.7",
            "01:00.0",
            // Rule 1.2 and 1.4: the upstream port fails beside two others, and no port behind it has ACS.
            "02:00.0 02:00.1 02:00.2 03:00.0 03:04.0 03:09.0 05:00.0 06:00.0",
            "08:00.0 08:00.1",
            // Rule 3: an ACS capability that offers nothing lacks nothing.
            "0a:00.0", "0a:00.1", "0a:00.4",
        ])

    /// A desktop of Intel's: the processor's port has no ACS, the chipset's has registers of double words.
    static let wideRegisterDesktop = SyntheticMachine(
        "wide-register-desktop", iommu: .intel,
        [
            HostBridge(
                "pci0000:00",
                [
                    .conventional("00.0", 0x060000, driver: "skl_uncore"),
                    .bridge(
                        "01.0", .rootPort, bus: 0x01,
                        [.express("00.0", 0x030000, driver: "nouveau"), .express("00.1", 0x040300)]),
                    .conventional("14.0", 0x0c0330, driver: "xhci_hcd"),
                    .conventional("14.2", 0x118000, deniesOthers: true),
                    .conventional("17.0", 0x010601, driver: "ahci"),
                    // The kernel knows by its ID that the control register is at +8. At +6 there are zeros.
                    .bridge(
                        "1c.0", .rootPort, bus: 0x02, id: 0x8086_a11e, acs: .offering(0x0f, on: 0x0d, isWide: true),
                        [.express("00.0", 0x020000, driver: "r8169")]),
                    .conventional("1f.0", 0x060100),
                    .conventional("1f.3", 0x040300, driver: "snd_hda_intel", deniesOthers: true),
                    .conventional("1f.4", 0x0c0500, deniesOthers: true),
                ])
        ],
        groups: [
            "00:00.0",
            // Rule 1.2: a port that fails takes along all behind it.
            "00:01.0 01:00.0 01:00.1",
            // Rule 3: a function above 0 is multifunction, whatever its header says.
            "00:14.0 00:14.2", "00:17.0",
            // Rule 4: the port isolates.
            "00:1c.0", "02:00.0",
            "00:1f.0 00:1f.3 00:1f.4",
        ])

    /// A laptop whose `config` files nobody took along: what isolates is there, and nobody can know.
    static let laptop = SyntheticMachine(
        "laptop", iommu: .intel, sight: .noConfig,
        [
            HostBridge(
                "pci0000:00",
                [
                    .conventional("00.0", 0x060000),
                    .express("02.0", 0x030000, kind: .rootComplexEndpoint, driver: "i915"),
                    .conventional("04.0", 0x118000, driver: "proc_thermal_pci"),
                    .bridge("06.0", .rootPort, bus: 0x04, acs: .on, [.express("00.0", 0x010802, driver: "nvme")]),
                    .bridge("07.0", .rootPort, bus: 0x05, acs: .on),
                    .bridge("07.2", .rootPort, bus: 0x30, acs: .on),
                    .conventional("0d.0", 0x0c0330, driver: "xhci_hcd"),
                    .conventional("0d.2", 0x0c0340, driver: "thunderbolt"),
                    .conventional("14.0", 0x0c0330, driver: "xhci_hcd"),
                    .conventional("14.2", 0x050000),
                    .express("14.3", 0x028000, kind: .rootComplexEndpoint, id: 0x8086_5eed, driver: "iwlwifi"),
                    .conventional("1f.0", 0x060100),
                    .conventional("1f.3", 0x040380),
                    .conventional("1f.5", 0x0c8000),
                ])
        ],
        groups: [
            "00:02.0", "00:00.0", "00:04.0", "00:06.0", "00:07.0", "00:07.2", "00:0d.0 00:0d.2",
            "00:14.0 00:14.2",
            // Rule 4: Intel's functions of the root complex isolate, beside others too.
            "00:14.3",
            "00:1f.0 00:1f.3 00:1f.5", "04:00.0",
        ])

    /// A server of two sockets under a kernel whose IOMMU is off, read by somebody who sees 64 bytes.
    static let twoSocketServer = SyntheticMachine(
        "two-socket-server", iommu: nil, sight: .headers,
        [
            HostBridge(
                "pci0000:00",
                [
                    .conventional("00.0", 0x060000),
                    .bridge("03.0", .rootPort, bus: 0x01, acs: .off, [.express("00.0", 0x010400)]),
                    .bridge(
                        "05.0", .rootPort, bus: 0x02, acs: .off,
                        [.express("00.0", 0x020000, driver: "bnx2"), .express("00.1", 0x020000, driver: "bnx2")]),
                    .bridge(
                        "06.0", .rootPort, bus: 0x03, acs: .off,
                        [
                            .express("00.0", 0x020000), .express("00.1", 0x020000),
                            .virtual("00.2", 0, of: "0000:03:00.0"), .virtual("00.3", 1, of: "0000:03:00.0"),
                        ]),
                    .bridge("07.0", .rootPort, bus: 0x04, acs: .off),
                    .express("14.0", 0x080000, kind: .rootComplexEndpoint),
                    .express("14.1", 0x080000, kind: .rootComplexEndpoint),
                    .conventional("1a.0", 0x0c0300, driver: "uhci_hcd"),
                    .conventional("1a.7", 0x0c0320, driver: "ehci_hcd"),
                    .bridge("1c.0", .rootPort, bus: 0x05, [.express("00.0", 0x010601)]),
                    .bridge("1e.0", nil, bus: 0x09, [.conventional("03.0", 0x030000)]),
                    .conventional("1f.0", 0x060100),
                    .conventional("1f.2", 0x01018f, driver: "ata_piix"),
                ]),
            HostBridge(
                "pci0000:40",
                [
                    .bridge("01.0", .rootPort, bus: 0x41, acs: .off),
                    .bridge("03.0", .rootPort, bus: 0x43, acs: .off, [.express("00.0", 0x0c0600)]),
                    .express("14.0", 0x080000, kind: .rootComplexEndpoint),
                    .express("14.1", 0x080000, kind: .rootComplexEndpoint),
                ]),
        ],
        groups: [
            "00:00.0", "00:03.0", "01:00.0", "00:05.0", "00:06.0", "00:07.0",
            // Rule 1.4: two functions of one card without ACS, behind a port with it. Rule 3: virtual ones isolate, even in
            // a slot with those.
            "02:00.0 02:00.1", "03:00.0 03:00.1", "03:00.2", "03:00.3",
            // A vendor that does not vouch for its functions of the root complex.
            "00:14.0 00:14.1", "40:14.0 40:14.1",
            "00:1a.0 00:1a.7", "00:1f.0 00:1f.2",
            "00:1c.0 05:00.0",
            // Rule 2: behind a conventional bridge all have its requester ID.
            "00:1e.0 09:03.0",
            "40:01.0", "40:03.0", "43:00.0",
        ])

    /// A virtual machine with a domain of more than 16 bits, which is no VMD's; conventional devices on root buses.
    static let wideDomain = SyntheticMachine(
        "wide-domain", iommu: nil, sight: .headers,
        [
            HostBridge(
                "pci0000:00",
                [
                    .conventional("00.0", 0x060000),
                    .conventional("01.0", 0x060100),
                    .conventional("01.1", 0x010180, driver: "ata_piix"),
                    .conventional("01.3", 0x068000, driver: "piix4_smbus"),
                    .conventional("02.0", 0x030000),
                    .conventional("03.0", 0x020000, driver: "virtio-pci"),
                ]),
            HostBridge(
                "pci2f00d:00",
                [.conventional("00.0", 0x060000), .conventional("05.0", 0x010000, driver: "virtio-pci")]),
        ],
        groups: [
            "00:00.0", "00:01.0 00:01.1 00:01.3", "00:02.0", "00:03.0", "2f00d:00:00.0", "2f00d:00:05.0",
        ])
}
