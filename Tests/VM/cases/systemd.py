"""The daemon as a service of a whole Debian under systemd."""

from cases.claims import E1000E
from daemon import Service
from machine import Machine
from suite import test
from waiting import until

PLACES = {"small": ("intel",)}


@test(PLACES, userspace="systemd")
@test(PLACES, interface="iommufd", userspace="trixie")
def systemd_comes_up_and_the_daemon_is_ready(vm: Machine) -> None:
    state = vm.guest.run("systemctl is-system-running --wait").output.strip()
    assert state == "running", f"{state}: {vm.guest.check('systemctl --failed --no-legend')}"
    assert isinstance(vm.daemon, Service) and vm.daemon.property("ActiveState") == "active"
    assert vm.daemon.members() == vm.sysfs.kernel_groups()
    # udev finds the drivers: modules of Debian's kernel.
    until(lambda: vm.sysfs.find(E1000E).driver == "e1000e", "the card's driver")
