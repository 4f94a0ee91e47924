// A POWER7 machine with a P7IOC, made up: no such machine could be captured. It has what makes the rules of its time
// differ from today's: PCIe-to-PCI-X bridges, one with a bridge behind it, a switch, and a slot without a card.

/// A tree with the host bridge pci0001:00 on a P7IOC.
///
///     0001:00:00.0  root port ── 0001:01:00.0  upstream port of a switch
///                                  0001:02:00.0  downstream port ── 0001:03:00.0  network card
///                                                                   0001:03:00.1  its second function
///                                  0001:02:01.0  downstream port ── (no card on bus 04)
///                                  0001:02:02.0  downstream port ── 0001:05:00.0  PCIe-to-PCI-X bridge
///                                                                     0001:06:01.0  SCSI
///                                                                     0001:06:02.0  conventional bridge
///                                                                       0001:07:01.0  serial
///                                                                     0001:06:03.0  USB
///     0001:00:01.0  PCIe-to-PCI-X bridge ── 0001:08:00.0  network card
///     0001:00:02.0  root port ── 0001:09:00.0  disk controller
public func p7iocMachine() -> SyntheticSysfs {
    let sysfs = SyntheticSysfs()
    let node = "/pciex@3efe00700000"
    sysfs.property("compatible", of: node, strings: "ibm,p7ioc-pciex", "ibm,ioda-phb")
    sysfs.property("ibm,opal-phbid", of: node, cells: 0, 1)
    sysfs.property("ibm,opal-num-pes", of: node, cells: 128)
    sysfs.property("ibm,opal-reserved-pe", of: node, cells: 127)
    func bridge(_ address: String, below parent: String, type: UInt8?, buses: (UInt8, UInt8, UInt8)) {
        sysfs.add(
            address, below: parent, classCode: 0x060400, config: ConfigBuilder(function: type, buses: buses).bytes)
    }
    func endpoint(_ address: String, below parent: String, classCode: UInt32) {
        sysfs.add(address, below: parent, classCode: classCode, config: ConfigBuilder(function: nil).bytes)
    }
    bridge("0001:00:00.0", below: "pci0001:00", type: 4, buses: (0, 1, 7))
    bridge("0001:01:00.0", below: "0001:00:00.0", type: 5, buses: (1, 2, 7))
    bridge("0001:02:00.0", below: "0001:01:00.0", type: 6, buses: (2, 3, 3))
    endpoint("0001:03:00.0", below: "0001:02:00.0", classCode: 0x020000)
    endpoint("0001:03:00.1", below: "0001:02:00.0", classCode: 0x020000)
    bridge("0001:02:01.0", below: "0001:01:00.0", type: 6, buses: (2, 4, 4))
    bridge("0001:02:02.0", below: "0001:01:00.0", type: 6, buses: (2, 5, 7))
    bridge("0001:05:00.0", below: "0001:02:02.0", type: 7, buses: (5, 6, 7))
    endpoint("0001:06:01.0", below: "0001:05:00.0", classCode: 0x010000)
    bridge("0001:06:02.0", below: "0001:05:00.0", type: nil, buses: (6, 7, 7))
    endpoint("0001:07:01.0", below: "0001:06:02.0", classCode: 0x070002)
    endpoint("0001:06:03.0", below: "0001:05:00.0", classCode: 0x0c0310)
    bridge("0001:00:01.0", below: "pci0001:00", type: 7, buses: (0, 8, 8))
    endpoint("0001:08:00.0", below: "0001:00:01.0", classCode: 0x020000)
    bridge("0001:00:02.0", below: "pci0001:00", type: 4, buses: (0, 9, 9))
    endpoint("0001:09:00.0", below: "0001:00:02.0", classCode: 0x010700)
    return sysfs
}
