"""What is served of a machine that nobody changes is what its kernel says."""

import json

from daemon import names
from machine import Machine
from suite import test
from waiting import until_equal

EVERYWHERE = {"rich": ("intel", "amd", "virtio")}
FURTHER = {"small": ("intel", "amd", "virtio"), "hotplug": ("intel", "amd", "virtio"), "sriov": ("intel", "amd")}


@test(EVERYWHERE, FURTHER)
def the_groups_are_the_kernels(vm: Machine) -> None:
    until_equal(vm.daemon.members, vm.sysfs.kernel_groups, "the groups and /sys/kernel/iommu_groups")
    assert vm.sysfs.kernel_groups(), "the kernel has no groups: the IOMMU is off, and nothing was tested"
    for group in vm.daemon.groups():
        assert group["backend"] == "kernel" and group["isolated"], group


@test(EVERYWHERE, FURTHER)
def identities_are_the_way_from_the_root_port(vm: Machine) -> None:
    functions = vm.sysfs.functions()
    for group in vm.daemon.groups():
        first = min((functions[name] for name in names(group)), key=lambda function: function.path)
        assert group["id"] == first.identity, f"{group['id']} has {names(group)}, the first by {first.identity}"


@test(EVERYWHERE, FURTHER)
def every_device_is_served_as_sysfs_shows_it(vm: Machine) -> None:
    functions = vm.sysfs.functions()
    devices = vm.daemon.devices()
    assert sorted(devices) == sorted(functions)
    for name, device in devices.items():
        seen = (device.get("kernelGroup"), device.get("driver"), f"{device['vendorId']:#06x}:{device['deviceId']:#06x}")
        assert seen == (functions[name].kernel_group, functions[name].driver, functions[name].ids), device


@test({"rich": ("amd", "virtio")}, {"small": ("amd", "virtio")})
def a_device_in_no_kernel_group_is_served_with_the_reason(vm: Machine) -> None:
    # The function that is the IOMMU is translated by none.
    outside = sorted(name for name, function in vm.sysfs.functions().items() if function.kernel_group is None)
    devices = vm.daemon.devices()
    assert outside, "every device is in a kernel group: nothing was tested"
    assert outside == sorted(name for name, device in devices.items() if "group" not in device)
    for name in outside:
        assert devices[name]["reason"], devices[name]


@test({"small": ("none",)}, {"rich": ("none",)})
def without_an_iommu_nothing_is_isolated(vm: Machine) -> None:
    groups = vm.daemon.groups()
    assert sorted(name for group in groups for name in names(group)) == sorted(vm.sysfs.functions())
    for group in groups:
        assert not group["isolated"] and not group["claimable"] and group["reason"], group
        assert group["state"] == "unavailable", group


@test({"rich": ("intel",)})
def print_groups_and_the_service_say_the_same(vm: Machine) -> None:
    # What the host uses is looked up by the service alone.
    assert json.loads(vm.guest.check("vfiogroupd --print-groups"))["groups"] == vm.daemon.groups()
