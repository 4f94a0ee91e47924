"""Drivers that others bind, behind the daemon's back."""

from daemon import Daemon, member, names
from guest import Process
from machine import Machine
from suite import test
from sysfs import PCI
from waiting import until, until_equal

E1000E = "0x8086:0x10d3"
# virtio-iommu remaps no interrupts, without which the kernel gives no device to a process (EPERM).
HELD, HELD_FURTHER = {"small": ("intel",)}, {"small": ("amd",)}


def standing(daemon: Daemon, address: str) -> tuple[str, str | None, str]:
    """In whose hands a device is: the member's state and driver, and the state of its group."""
    group = daemon.group_of(address)
    seen = member(group, address)
    return seen["state"], seen.get("driver"), group["state"]


@test({"small": ("intel",)}, {"rich": ("intel", "amd")})
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


def prove_that_a_blocked_unbind_blocks_nobody_else(vm: Machine, card: str, holder: Process) -> None:
    """While a process holds a device, its unbind waits for that process, with the device's lock held: whoever then reads
    an attribute that needs the lock waits too. No uevent of the device tells of the beginning."""
    until(lambda: "holding" in holder.output() or not holder.is_running(), "the device to be held")
    assert holder.is_running(), f"the device cannot be held: {holder.output().strip()}"
    unbind = vm.guest.start(f"sh -c 'echo {card} > {PCI}/{card}/driver/unbind'")
    until(lambda: card not in vm.guest.check("ls /sys/bus/pci/drivers/vfio-pci"), "the kernel to begin the unbind")
    assert names(vm.daemon.group_of(card)) == [card]
    # The scan of a start has to get past the device too.
    vm.daemon.process.kill("KILL")
    vm.daemon.start()
    assert names(vm.daemon.group_of(card)) == [card]
    assert unbind.is_running(), "the unbind did not wait for the holder: nothing was tested"

    holder.kill()
    until(lambda: not unbind.is_running(), "the unbind to end with the holder")
    vm.sysfs.give_back(card)
    until_equal(lambda: standing(vm.daemon, card), lambda: ("host", "e1000e", "available"), "what was given back")


@test(HELD, HELD_FURTHER)
def while_an_unbind_waits_for_the_holder_of_a_group_the_daemon_serves(vm: Machine) -> None:
    card = vm.sysfs.find(E1000E)
    vm.guest.run("modprobe vfio-pci")
    vm.sysfs.bind(card.address, "vfio-pci")
    holder = vm.guest.start(f"vfio-hold group {card.kernel_group} {card.address}")
    prove_that_a_blocked_unbind_blocks_nobody_else(vm, card.address, holder)


@test(HELD, HELD_FURTHER, interface="iommufd")
def while_an_unbind_waits_for_the_holder_of_a_character_device_the_daemon_serves(vm: Machine) -> None:
    card = vm.sysfs.find(E1000E)
    vm.sysfs.bind(card.address, "vfio-pci")
    node = vm.guest.check(f"ls {PCI}/{card.address}/vfio-dev").strip()
    holder = vm.guest.start(f"vfio-hold cdev {node}")
    prove_that_a_blocked_unbind_blocks_nobody_else(vm, card.address, holder)


@test({"small": ("intel",)}, {"small": ("amd", "virtio")}, interface="iommufd")
def this_kernel_has_character_devices(vm: Machine) -> None:
    # Without them the second half of the tests would prove what the first did.
    card = vm.sysfs.find(E1000E).address
    vm.sysfs.bind(card, "vfio-pci")
    node = vm.guest.check(f"ls {PCI}/{card}/vfio-dev").strip()
    vm.guest.check(f"test -c /dev/iommu && test -c /dev/vfio/devices/{node}")
    vm.sysfs.give_back(card)
    until_equal(lambda: standing(vm.daemon, card), lambda: ("host", "e1000e", "available"), "what was given back")
