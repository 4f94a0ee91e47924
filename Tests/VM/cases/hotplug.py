"""Devices that come and go."""

from cases.claims import unchanged
from cases.consumers import consumer, start, wait_for_consumer
from cases.ownership import state
from daemon import names
from machine import Machine
from suite import test
from sysfs import PCI
from waiting import until, until_equal

PLACES = {"hotplug": ("intel",)}
FURTHER = {"hotplug": ("amd", "virtio"), "rich": ("intel",)}
# With virtio-iommu, what is behind a conventional bridge is in no kernel group.
BEHIND_A_BRIDGE = {"hotplug": ("amd",), "rich": ("intel",)}
E1000E, E1000 = "0x8086:0x10d3", "0x8086:0x100e"


def newcomer(vm: Machine, before: set[str]) -> str:
    """The device that was not there before, once the kernel has put it into a group."""

    def look() -> str | None:
        new = [function for function in vm.sysfs.functions().values() if function.address not in before]
        return new[0].address if new and new[0].kernel_group is not None else None

    return str(until(look, "the plugged device to be in a kernel group"))


@test(PLACES, FURTHER)
def a_device_plugged_into_an_empty_port_is_a_group_of_its_own(vm: Machine) -> None:
    monitor = vm.daemon.monitor()
    before = set(vm.sysfs.functions())
    vm.qemu.plug("plugged", "e1000e", bus="rp8", romfile="")
    address = newcomer(vm, before)
    group = vm.sysfs.functions()[address].identity
    monitor.wait_for("groupAdded", group=group)
    until_equal(vm.daemon.members, vm.sysfs.kernel_groups, "the groups and the kernel's, with the device")
    assert names(vm.daemon.group_of(address)) == [address]

    vm.qemu.unplug("plugged")
    monitor.wait_for("groupRemoved", group=group)
    until_equal(vm.daemon.members, vm.sysfs.kernel_groups, "the groups and the kernel's, without the device")
    assert set(vm.daemon.devices()) == before
    monitor.stop()


@test(PLACES, BEHIND_A_BRIDGE)
def a_device_plugged_behind_a_conventional_bridge_joins_the_group(vm: Machine) -> None:
    monitor = vm.daemon.monitor()
    before = set(vm.sysfs.functions())
    neighbour = vm.sysfs.find(E1000, behind=bridge(vm))
    group = vm.daemon.group_of(neighbour.address)
    vm.qemu.plug("plugged", "e1000", bus="br1", addr="5", romfile="")
    address = newcomer(vm, before)
    monitor.wait_for("memberAdded", group=group["id"], member=address)
    until_equal(vm.daemon.members, vm.sysfs.kernel_groups, "the groups and the kernel's, with the device")
    assert names(vm.daemon.group_of(address)) == sorted([*names(group), address])

    vm.qemu.unplug("plugged")
    monitor.wait_for("memberRemoved", group=group["id"], member=address)
    until_equal(vm.daemon.members, vm.sysfs.kernel_groups, "the groups and the kernel's, without the device")
    assert names(vm.daemon.group_of(neighbour.address)) == names(group)
    monitor.stop()


def bridge(vm: Machine) -> str:
    """QEMU's pcie-pci-bridge."""
    return vm.sysfs.find("0x1b36:0x000e").address


@test(PLACES, {"hotplug": ("amd",)}, interface="legacy")
def a_removal_that_waits_for_a_consumer_is_told_also_where_the_kernel_announces_nothing(vm: Machine) -> None:
    before = set(vm.sysfs.functions())
    vm.qemu.plug("plugged", "e1000e", bus="rp8", romfile="")
    address = newcomer(vm, before)
    until(lambda: address in vm.daemon.devices(), "the daemon to know of the device")
    group = vm.daemon.group_of(address)["id"]
    wait_for_consumer(start(vm, "container", address, "--name used --lifetime manual"))
    monitor = vm.daemon.monitor()
    vm.qemu.request_unplug("plugged")
    monitor.wait_for("removalRequested", member=address)
    until_equal(lambda: state(vm, "used"), lambda: "degraded", "the claim's state")
    # Without a look at its attributes: on 6.1 that would wait for the device's lock.
    vm.guest.check(f"test -e {PCI}/{address}")
    vm.guest.check(f"kill -KILL {consumer(vm)}")
    vm.qemu.unplug("plugged")
    # It was the only one of its group.
    monitor.wait_for("groupRemoved", group=group)
    monitor.stop()
    vm.daemon.release("used")
    until_equal(vm.daemon.members, vm.sysfs.kernel_groups, "the groups and the kernel's, without the device")


def prove_that_a_device_is_plugged_while_a_claimed_one_leaves(vm: Machine, words: str) -> None:
    """The kernel has one thread for all that is plugged and unplugged, and one lock: a removal that waits holds up what
    comes into other slots."""
    before = set(vm.sysfs.functions())
    with unchanged(vm):
        vm.qemu.plug("leaves", "e1000e", bus="rp8", romfile="")
        leaves = newcomer(vm, before)
        until(lambda: vm.sysfs.settings()[leaves].driver == "e1000e", "its driver")
        until(lambda: leaves in vm.daemon.devices(), "the daemon to know of the device")
        group = vm.daemon.group_of(leaves)["id"]
        vm.daemon.claim(f"{leaves} --name held --lifetime manual {words}")
        monitor = vm.daemon.monitor()
        vm.qemu.request_unplug("leaves")
        vm.qemu.plug("comes", "e1000e", bus="rp9", romfile="")
        comes = newcomer(vm, before | {leaves})
        monitor.wait_for("groupAdded", member=comes)
        until_equal(lambda: vm.sysfs.settings()[comes].driver, lambda: "e1000e", "the driver of the plugged device")
        vm.qemu.unplug("leaves")
        monitor.wait_for("groupRemoved", group=group)
        monitor.stop()
        vm.daemon.release("held")
        vm.qemu.unplug("comes")
        until_equal(lambda: set(vm.sysfs.functions()), lambda: before, "the functions")
        until_equal(vm.daemon.members, vm.sysfs.kernel_groups, "the groups and the kernel's, without the devices")


@test(PLACES, {"hotplug": ("amd",)})
def a_device_is_plugged_into_a_slot_while_a_held_one_leaves_another(vm: Machine) -> None:
    prove_that_a_device_is_plugged_while_a_claimed_one_leaves(vm, "")


@test(PLACES, {"hotplug": ("amd",)}, interface="iommufd")
@test({}, PLACES, interface="legacy")
def a_device_is_plugged_into_a_slot_while_one_leaves_that_nobody_has_come_for(vm: Machine) -> None:
    """Beside opened nodes the daemon has character devices open."""
    prove_that_a_device_is_plugged_while_a_claimed_one_leaves(vm, "--access path --user nobody")


@test({"small": ("intel",)}, {"rich": ("intel", "amd", "virtio")})
def a_device_that_is_removed_and_found_again_has_its_identity(vm: Machine) -> None:
    monitor = vm.daemon.monitor()
    card = vm.sysfs.find(E1000E)
    group = vm.daemon.group_of(card.address)["id"]
    vm.guest.write(f"{PCI}/{card.address}/remove", "1")
    monitor.wait_for("groupRemoved", group=group)
    until_equal(vm.daemon.members, vm.sysfs.kernel_groups, "the groups and the kernel's, without the device")
    vm.guest.write("/sys/bus/pci/rescan", "1")
    monitor.wait_for("groupAdded", group=group)
    until_equal(vm.daemon.members, vm.sysfs.kernel_groups, "the groups and the kernel's, with the device")
    monitor.stop()
