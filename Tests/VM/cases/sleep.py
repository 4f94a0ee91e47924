"""A host that is suspended while a device is claimed, and wakes up again."""

from cases.claims import E1000E, unchanged
from cases.ownership import wait_until_whole
from machine import Machine
from suite import test
from waiting import until


# The configuration of `make vm-kernel` has no CONFIG_SUSPEND.
@test({"small": ("intel",)}, {"small": ("amd",)}, interface="legacy")
def a_host_that_slept_tells_it_of_each_claim_and_holds_it(vm: Machine) -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        claim = vm.daemon.claim(f"{card} --name asleep --lifetime manual")["id"]
        vm.guest.check("echo +3 > /sys/class/rtc/rtc0/wakealarm")
        vm.guest.start("sh -c 'echo mem > /sys/power/state'")
        told = f"claim {claim}: the host slept for"
        until(lambda: told in vm.daemon.process.output(), "the daemon to tell that the host slept")
        wait_until_whole(vm, "asleep", [card])
        vm.daemon.release("asleep")
