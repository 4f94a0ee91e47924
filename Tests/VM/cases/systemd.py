"""The daemon as a service of a whole Debian under systemd."""

from machine import Machine
from suite import test

PLACES = {"small": ("intel",)}


@test(PLACES, userspace="systemd")
def systemd_comes_up_and_the_daemon_is_ready(vm: Machine) -> None:
    state = vm.guest.run("systemctl is-system-running --wait").output.strip()
    assert state == "running", f"{state}: {vm.guest.check('systemctl --failed --no-legend')}"
    assert vm.daemon.property("ActiveState") == "active"
    assert vm.daemon.members() == vm.sysfs.kernel_groups()
