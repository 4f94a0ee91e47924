"""Drivers that others bind, behind the daemon's back."""

from daemon import Daemon, member
from machine import Machine
from suite import test
from sysfs import PCI
from waiting import until_equal

E1000E = "0x8086:0x10d3"


def standing(daemon: Daemon, address: str) -> tuple[str, str | None, str]:
    """In whose hands a device is: the member's state and driver, and the state of its group."""
    group = daemon.group_of(address)
    seen = member(group, address)
    return seen["state"], seen.get("driver"), group["state"]


@test({"small": ("intel",)}, {"rich": ("intel", "amd", "virtio")})
def what_others_bind_to_vfio_pci_is_orphaned_until_it_is_given_back(vm: Machine) -> None:
    monitor = vm.daemon.monitor()
    card = vm.sysfs.find(E1000E).address
    assert standing(vm.daemon, card) == ("host", "e1000e", "available")
    vm.guest.run("modprobe vfio-pci")
    vm.sysfs.bind(card, "vfio-pci")
    monitor.wait_for("memberDriverChanged", member=card)
    until_equal(lambda: standing(vm.daemon, card), lambda: ("held", "vfio-pci", "orphaned"), "what vfio-pci holds")

    vm.sysfs.give_back(card)
    until_equal(lambda: standing(vm.daemon, card), lambda: ("host", "e1000e", "available"), "what was given back")
    monitor.stop()


@test({"small": ("intel",)}, {"small": ("amd", "virtio")}, interface="iommufd")
def this_kernel_has_character_devices(vm: Machine) -> None:
    # Without them the second half of the tests would prove what the first did.
    card = vm.sysfs.find(E1000E).address
    vm.sysfs.bind(card, "vfio-pci")
    node = vm.guest.check(f"ls {PCI}/{card}/vfio-dev").strip()
    vm.guest.check(f"test -c /dev/iommu && test -c /dev/vfio/devices/{node}")
    vm.sysfs.give_back(card)
