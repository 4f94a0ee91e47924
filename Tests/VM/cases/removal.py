"""The package is removed. It comes last in a machine, which has no daemon afterwards."""

from cases.package import FURTHER, PLACES, UNITS, apt, from_package
from machine import Machine
from suite import test


@test(PLACES, FURTHER, interface="legacy", userspace="systemd")
@test({}, PLACES, interface="iommufd", userspace="trixie")
def a_removal_ends_the_daemon_and_a_purge_leaves_nothing_of_it(vm: Machine) -> None:
    from_package(vm)
    process = vm.daemon.process.pid
    apt(vm, "remove vfiogroupd")
    assert vm.guest.run(f"test -e /proc/{process}").status != 0
    for unit in UNITS:
        assert vm.guest.check(f"systemctl show {unit} --property LoadState --value").strip() == "not-found", unit
    assert vm.guest.run("systemctl is-system-running --wait").output.strip() == "running"
    vm.guest.check("test -e /etc/vfiogroupd/vfiogroupd.conf && test -d /var/lib/vfiogroupd")
    apt(vm, "purge vfiogroupd")
    # Of `make install` every boot brings files that the package has elsewhere, or compressed.
    left = ("find /etc /usr /var/lib -path '*vfiogroup*' -not -path '/usr/share/zsh/site-functions/*' "
            "-not -path '/usr/share/man/*[0-9]'")
    assert vm.guest.check(left) == "", vm.guest.check(left)
    assert vm.guest.run("dpkg-query --status vfiogroupd").status != 0
