"""A host that is suspended while a device is claimed, and wakes up again."""

from cases.claims import E1000E, unchanged
from cases.ownership import wait_until_whole
from machine import Machine
from suite import test
from waiting import until


@test({"small": ("intel",)}, {"small": ("amd",)})
def a_host_that_slept_tells_it_of_each_claim_and_holds_it(vm: Machine) -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        vm.daemon.claim(f"{card} --name asleep --lifetime manual")
        vm.guest.check("echo +3 > /sys/class/rtc/rtc0/wakealarm")
        vm.guest.start("sh -c 'echo mem > /sys/power/state'")
        until(lambda: "slept for" in vm.daemon.process.output(), "the daemon to tell that the host slept")
        assert "asleep" in vm.daemon.process.output() or card in vm.daemon.process.output(), vm.daemon.process.output()
        wait_until_whole(vm, "asleep", [card])
        vm.daemon.release("asleep")
