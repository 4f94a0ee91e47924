"""Virtual functions that are created and destroyed while the daemon serves."""

from machine import Machine
from suite import test
from sysfs import PCI
from waiting import until_equal

NVME = "0x1b36:0x0010"


@test({"sriov": ("intel",)}, {"sriov": ("amd",)})
def virtual_functions_appear_and_vanish_with_events(vm: Machine) -> None:
    monitor = vm.daemon.monitor()
    before = vm.sysfs.functions()
    physical = vm.sysfs.find(NVME)
    vm.guest.write(f"{PCI}/{physical.address}/sriov_numvfs", "2")
    virtual = {address: function for address, function in vm.sysfs.functions().items() if address not in before}
    assert sorted(f.identity for f in virtual.values()) == [f"{physical.identity}_vf{n}" for n in (0, 1)], virtual
    for function in virtual.values():
        monitor.wait_for("groupAdded", group=function.identity)
    until_equal(vm.daemon.members, vm.sysfs.kernel_groups, "the groups and the kernel's, with virtual functions")

    def links() -> tuple[list[str], set[str]]:
        devices = vm.daemon.devices()
        return (sorted(vf["name"] for vf in devices[physical.address].get("virtualFunctions", [])),
                {devices[address].get("physicalFunction", {}).get("name") for address in virtual})

    # The kernel makes the links after the functions.
    until_equal(links, lambda: (sorted(virtual), {physical.address}), "how virtual functions are linked")

    vm.guest.write(f"{PCI}/{physical.address}/sriov_numvfs", "0")
    for function in virtual.values():
        monitor.wait_for("groupRemoved", group=function.identity)
    until_equal(vm.daemon.members, vm.sysfs.kernel_groups, "the groups and the kernel's, without virtual functions")
    assert set(vm.daemon.devices()) == set(before)
    monitor.stop()
