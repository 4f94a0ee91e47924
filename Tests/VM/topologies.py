"""The emulated machines: which devices sit where, and the IOMMU before them, as arguments of QEMU.

Of the network cards two in the small topology are connected with each other and the others with nothing (QEMU warns of
that); none has a boot ROM (`romfile=`): Debian ships those in a package that is not needed otherwise.
"""

# What stands between the devices and memory. caching-mode and intremap are what a host that assigns devices has.
IOMMUS: dict[str, list[str]] = {
    "intel": ["intel-iommu,intremap=on,caching-mode=on"],
    "amd": ["amd-iommu"],
    "virtio": ["virtio-iommu-pci"],
    "none": [],
}

# What the kernel needs to hear for each. QEMU 7.2's amd-iommu does not translate what its nvme reads and writes: the
# driver's probe would end after a timeout of 60 s. Without translation for host drivers (pt) the groups are the same.
KERNEL_ARGUMENTS: dict[str, str] = {
    "intel": "intel_iommu=on iommu.strict=1",
    "amd": "iommu=pt",
    "virtio": "",
    "none": "intel_iommu=off",
}

# One of everything that decides groups: functions that share a slot, ports with and without ACS, a switch, a
# conventional bus behind a PCIe-to-PCI bridge, an empty port (rp8), a second host bridge.
RICH = """
virtio-net-pci,addr=02.0,iommu_platform=on,disable-legacy=on,romfile=
e1000,addr=03.0,multifunction=on,romfile=
e1000,addr=03.1,romfile=
pcie-root-port,id=rp1,chassis=1,slot=1,addr=04.0,multifunction=on
pcie-root-port,id=rp2,chassis=1,slot=2,addr=04.1
nvme,serial=n1,bus=rp1,drive=disk
e1000e,bus=rp2,romfile=
pcie-root-port,id=rp3,chassis=1,slot=3,addr=05.0
x3130-upstream,id=up1,bus=rp3
xio3130-downstream,id=dn1,bus=up1,chassis=2,slot=11
xio3130-downstream,id=dn2,bus=up1,chassis=2,slot=12
xio3130-downstream,id=dn3,bus=up1,chassis=2,slot=13
e1000e,bus=dn1,romfile=
nvme,serial=n2,bus=dn2
pcie-root-port,id=rp4,chassis=1,slot=4,addr=06.0
pcie-pci-bridge,id=br1,bus=rp4
e1000,bus=br1,addr=1,romfile=
virtio-rng-pci,bus=br1,addr=2,iommu_platform=on,disable-legacy=on
pcie-root-port,id=rp5,chassis=1,slot=5,addr=07.0,multifunction=on,disable-acs=on
pcie-root-port,id=rp6,chassis=1,slot=6,addr=07.1,disable-acs=on
e1000e,bus=rp5,romfile=
qemu-xhci,bus=rp6
pcie-root-port,id=rp7,chassis=1,slot=7,addr=08.0
e1000e,bus=rp7,addr=0.0,multifunction=on,romfile=
qemu-xhci,bus=rp7,addr=0.1
pcie-root-port,id=rp8,chassis=1,slot=8,addr=09.0
pxb-pcie,id=pxb1,bus_nr=128,bus=pcie.0,addr=0a.0
pcie-root-port,id=prp1,bus=pxb1,chassis=8,slot=21,addr=0.0
pcie-root-port,id=prp2,bus=pxb1,chassis=8,slot=22,addr=1.0
nvme,serial=n3,bus=prp1
virtio-net-pci,bus=prp2,iommu_platform=on,disable-legacy=on,romfile=
"""

# A network card that is a group of its own, connected with the first of two that are one group.
SMALL = """
hubport,id=net1,hubid=0
hubport,id=net2,hubid=0
pcie-root-port,id=rp1,chassis=1,slot=1,addr=04.0
e1000e,bus=rp1,netdev=net1,romfile=
pcie-root-port,id=rp2,chassis=1,slot=2,addr=05.0
e1000e,bus=rp2,addr=0.0,multifunction=on,netdev=net2,romfile=
e1000e,bus=rp2,addr=0.1,romfile=
"""

# A controller with up to four virtual functions, and a card beside it that must not be touched by them. QEMU before
# version 8 has SR-IOV on nvme alone.
SRIOV = """
pcie-root-port,id=rp1,chassis=1,slot=1,addr=04.0
nvme-subsys,id=ss0
nvme,serial=pf,bus=rp1,subsys=ss0,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=8,max_ioqpairs=10,msix_qsize=20
nvme-ns,drive=disk,nsid=1,shared=on
pcie-root-port,id=rp2,chassis=1,slot=2,addr=05.0
e1000e,bus=rp2,romfile=
"""

# Two empty ports (rp8, rp9), and a conventional bus with two cards and free slots (br1).
HOTPLUG = """
pcie-root-port,id=rp1,chassis=1,slot=1,addr=04.0
e1000e,bus=rp1,romfile=
pcie-root-port,id=rp2,chassis=1,slot=2,addr=05.0
pcie-pci-bridge,id=br1,bus=rp2
e1000,bus=br1,addr=1,romfile=
e1000,bus=br1,addr=2,romfile=
pcie-root-port,id=rp8,chassis=1,slot=8,addr=09.0
pcie-root-port,id=rp9,chassis=1,slot=9,addr=0a.0
"""

# A machine before and after somebody had it open: ports that isolate and ports that do not (a firmware's switch), cards
# that came, went, and were exchanged for another model in the same slot. What is behind the switch has other bus numbers.
SHRUNK = """
pcie-root-port,id=rp1,chassis=1,slot=1,addr=04.0,disable-acs=on
e1000e,bus=rp1,romfile=
pcie-root-port,id=rp2,chassis=1,slot=2,addr=05.0
e1000e,bus=rp2,romfile=
pcie-root-port,id=rp3,chassis=1,slot=3,addr=06.0
pcie-root-port,id=rp4,chassis=1,slot=4,addr=07.0
nvme,serial=n1,bus=rp4
pcie-root-port,id=rp5,chassis=1,slot=5,addr=08.0
e1000e,bus=rp5,romfile=
pcie-root-port,id=rp6,chassis=1,slot=6,addr=09.0
e1000e,bus=rp6,romfile=
"""
GROWN = """
pcie-root-port,id=rp1,chassis=1,slot=1,addr=04.0
e1000e,bus=rp1,romfile=
pcie-root-port,id=rp2,chassis=1,slot=2,addr=05.0,disable-acs=on
e1000e,bus=rp2,romfile=
pcie-root-port,id=rp3,chassis=1,slot=3,addr=06.0
x3130-upstream,id=up1,bus=rp3
xio3130-downstream,id=dn1,bus=up1,chassis=2,slot=11
qemu-xhci,bus=dn1
pcie-root-port,id=rp4,chassis=1,slot=4,addr=07.0
pcie-root-port,id=rp5,chassis=1,slot=5,addr=08.0
virtio-net-pci,bus=rp5,iommu_platform=on,disable-legacy=on,romfile=
pcie-root-port,id=rp6,chassis=1,slot=6,addr=09.0
e1000e,bus=rp6,romfile=
"""

# Two cards that are connected with each other, and three disks that can be written to (their writes are gone with the
# machine), each a group of its own.
HOST = """
hubport,id=net1,hubid=0
hubport,id=net2,hubid=0
pcie-root-port,id=rp1,chassis=1,slot=1,addr=04.0
e1000e,bus=rp1,netdev=net1,romfile=
pcie-root-port,id=rp2,chassis=1,slot=2,addr=05.0
e1000e,bus=rp2,netdev=net2,romfile=
pcie-root-port,id=rp3,chassis=1,slot=3,addr=06.0
nvme,serial=s1,bus=rp3,drive=scratch1
pcie-root-port,id=rp4,chassis=1,slot=4,addr=07.0
nvme,serial=s2,bus=rp4,drive=scratch2
pcie-root-port,id=rp5,chassis=1,slot=5,addr=08.0
nvme,serial=s3,bus=rp5,drive=scratch3
"""

TOPOLOGIES: dict[str, list[str]] = {
    name: text.split() for name, text in [
        ("rich", RICH), ("small", SMALL), ("sriov", SRIOV), ("hotplug", HOTPLUG), ("shrunk", SHRUNK), ("grown", GROWN),
        ("host", HOST)]
}


def devices(topology: str, iommu: str) -> list[str]:
    """The words for QEMU: the IOMMU first, since it must be there before the devices that it translates for."""
    return [word for device in IOMMUS[iommu] + TOPOLOGIES[topology]
            for word in ("-netdev" if device.startswith("hubport,") else "-device", device)]
