"""The Debian package in a Debian under systemd: installed, started, upgraded, and reserving devices at boot."""

import re

from cases.claims import E1000E, claim_and_release, unchanged
from cases.consumers import consumer, start, wait_for_consumer
from cases.ownership import state
from machine import Machine
from suite import test
from sysfs import PCI
from waiting import until, until_equal

PLACES, FURTHER = {"small": ("intel",)}, {"small": ("amd",)}
NONE = {"small": ("none",)}

UNITS = ["vfiogroupd.service", "vfiogroupd.socket", "vfiogroupd-reserve.service"]
# What the disk has of `make install`, so that the package comes to a system without it.
LEFT = ("/usr/bin/vfiogroup* /usr/lib/vfiogroupd /usr/lib/systemd/system/vfiogroupd* /etc/vfiogroupd "
        "/etc/systemd/system/*.wants/vfiogroupd* /usr/lib/*/*vfiogroupd* /usr/share/initramfs-tools/hooks/vfiogroupd "
        "/run/vfiogroupd /var/lib/vfiogroupd")
PACKAGE, NEXT = "/root/vfiogroupd.deb", "/root/next.deb"
LOCAL = "/etc/vfiogroupd/vfiogroupd.conf.d/local.conf"
# What the udev rule reads.
LIST = "/run/vfiogroupd/reservations"


def apt(vm: Machine, words: str) -> None:
    """Has apt do something. It has no network and no lists: a package that needs what is not on the disk is refused."""
    vm.guest.check(f"DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet {words}", 600)


def is_installed(vm: Machine) -> bool:
    return vm.guest.run("dpkg-query --show --showformat '${db:Status-Status}' vfiogroupd").output == "installed"


def from_package(vm: Machine) -> None:
    """Has the daemon run from the package instead of what `make install` installed."""
    if is_installed(vm):
        return
    vm.guest.check(f"systemctl stop {' '.join(UNITS)}; rm -rf {LEFT}; systemctl daemon-reload")
    apt(vm, f"install {PACKAGE}")
    vm.daemon.start()


def journal(vm: Machine, words: str) -> list[str]:
    """Messages of this boot in their order."""
    return vm.guest.check(f"journalctl --quiet --boot --output cat {words}").splitlines()


def configure(vm: Machine, text: str) -> None:
    """Has a drop-in say this, for the next time that the configuration is read."""
    vm.guest.check(f"mkdir -p {LOCAL.rsplit('/', 1)[0]}")
    vm.guest.write(LOCAL, text)


@test(PLACES, FURTHER, interface="legacy", userspace="systemd")
@test({}, PLACES, interface="iommufd", userspace="systemd")
@test(PLACES, interface="iommufd", userspace="trixie")
def the_package_brings_the_daemon_up(vm: Machine) -> None:
    from_package(vm)
    assert vm.guest.check(f"systemctl is-enabled {' '.join(UNITS)}").split() == ["enabled"] * 3
    assert vm.guest.check(f"systemctl is-active {' '.join(UNITS)}").split() == ["active"] * 3
    assert vm.guest.run("systemctl is-system-running --wait").output.strip() == "running"
    assert vm.daemon.members() == vm.sysfs.kernel_groups()
    assert vm.guest.check("dpkg --verify vfiogroupd") == ""
    vm.guest.check("getent group vfiogroupd")
    for interface in ["Claims", "Groups", "Manager"]:
        vm.guest.check(f"test -S /run/varlink/registry/io.vfiogroupd.{interface}")
    assert "groups" in vm.daemon.property("StatusText")  # type: ignore[attr-defined]


@test(PLACES, FURTHER, interface="legacy", userspace="systemd")
@test({}, PLACES, interface="iommufd", userspace="systemd")
@test(PLACES, interface="iommufd", userspace="trixie")
def the_first_client_starts_the_daemon_and_is_answered_when_it_is_ready(vm: Machine) -> None:
    from_package(vm)
    before = vm.daemon.groups()
    vm.guest.check("systemctl stop vfiogroupd.service")
    assert vm.guest.run("systemctl is-active vfiogroupd.socket vfiogroupd.service").output.split() == ["active", "inactive"]
    # Not root: reading is open to all.
    said = vm.guest.check("setpriv --reuid 65534 --regid 65534 --clear-groups vfiogroupctl list")
    assert all(group["id"] in said for group in before), said
    vm.daemon.start()
    # It listens when it has the groups, and that is when systemd hears of it. What the two then write at the same time
    # comes in either order, and when the journal gets to it.
    until(lambda: says_in_order(journal(vm, "--unit vfiogroupd.service")), "the daemon to be started after it listened")


def says_in_order(lines: list[str]) -> bool:
    """Whether the last start of the service is written, whole and in its order."""
    def last(words: str) -> int:
        return max((number for number, line in enumerate(lines) if line.startswith(words)), default=-1)

    return last("Starting ") < last("listening on the service manager") < min(last("Started "), last("serving "))


@test(PLACES, FURTHER, userspace="systemd")
@test({}, PLACES, interface="iommufd", userspace="trixie")
def in_its_sandbox_the_daemon_loads_modules_takes_and_gives_back(vm: Machine) -> None:
    from_package(vm)
    card = vm.sysfs.find(E1000E).address
    if vm.kernel.interface == "legacy":
        vm.guest.check("modprobe --remove vfio_pci && test ! -e /sys/module/vfio_pci")
    claim_and_release(vm, card, 1)
    # A program of another user, in whose files it has to look.
    with unchanged(vm):
        owner = start(vm, "container", card, "--name used --lifetime manual")
        wait_for_consumer(owner)
        assert f"process {consumer(vm)}" in vm.daemon.refusal(f"claim {card}") or state(vm, "used") == "claimed"
        release = vm.guest.start("vfiogroupctl release used")
        until_equal(lambda: state(vm, "used"), lambda: "releasing", "the claim that waits for its consumer")
        vm.guest.check(f"kill -KILL {consumer(vm)}")
        until(lambda: not release.is_running() and vm.daemon.claims() == [], "the release")


@test(PLACES, FURTHER, interface="legacy", userspace="systemd")
@test({}, PLACES, interface="iommufd", userspace="systemd")
@test(PLACES, interface="iommufd", userspace="trixie")
def an_upgrade_restarts_the_daemon_and_leaves_a_claim_and_its_consumer_alone(vm: Machine) -> None:
    from_package(vm)
    card = vm.sysfs.find(E1000E).address
    vm.guest.check(
        f"rm -rf /tmp/next && dpkg-deb --raw-extract {PACKAGE} /tmp/next && "
        "sed -i 's/^Version: .*/&+next/' /tmp/next/DEBIAN/control && "
        f"dpkg-deb -Znone --build /tmp/next {NEXT} && rm -rf /tmp/next", 600)
    with unchanged(vm):
        owner = start(vm, "container", card, "--name used")
        wait_for_consumer(owner)
        before, process, listening = consumer(vm), vm.daemon.process.pid, vm.guest.check(
            "systemctl show vfiogroupd.socket --property ActiveEnterTimestampMonotonic")
        apt(vm, f"install {NEXT}")
        vm.daemon.start()
        assert vm.daemon.process.pid != process, "the upgrade did not restart the daemon"
        assert listening == vm.guest.check("systemctl show vfiogroupd.socket --property ActiveEnterTimestampMonotonic")
        assert consumer(vm) == before and owner.is_running()
        assert state(vm, "used") == "claimed", vm.daemon.claims()
        vm.guest.check(f"kill -KILL {before}")
        until(lambda: vm.daemon.claims() == [], "the end of the claim")


@test(PLACES, FURTHER, interface="legacy", userspace="systemd")
@test({}, PLACES, interface="iommufd", userspace="systemd")
@test(PLACES, interface="iommufd", userspace="trixie")
def a_reload_takes_a_good_configuration_and_refuses_a_bad_one(vm: Machine) -> None:
    from_package(vm)
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        vm.daemon.claim(f"{card} --name held")
        configure(vm, "[Limits]\nClaims=1\n[Reservation none]\nGroup=pci0000-00_1e.7\n")
        vm.guest.check("systemctl reload vfiogroupd.service")
        assert vm.daemon.property("ActiveState") == "active"  # type: ignore[attr-defined]
        assert vm.guest.read(LIST) == "none\tgroup\tpci0000-00_1e.7\t-\n"
        configure(vm, "[Limits]\nClaims=none\n")
        refused = vm.guest.run("systemctl reload vfiogroupd.service")
        assert refused.status != 0, refused.output
        said = vm.guest.run("vfiogroupctl reload").output
        assert f"{LOCAL}:2" in said, said
        vm.guest.check(f"rm {LOCAL}")
        vm.guest.check("vfiogroupctl reload")
        assert vm.guest.run(f"test -e {LIST}").status != 0
        assert state(vm, "held") == "claimed"
        vm.daemon.release("held")


@test(PLACES, FURTHER, interface="legacy", userspace="systemd")
@test({}, PLACES, interface="iommufd", userspace="systemd")
@test({}, PLACES, interface="iommufd", userspace="trixie")
@test(PLACES, interface="legacy", userspace="trixie")
def a_reservation_is_claimed_at_boot_and_says_who_was_faster(vm: Machine) -> None:
    """Debian's driver of the card is a module, which the early helper beats; the other kernel has it built in."""
    from_package(vm)
    card = vm.sysfs.find(E1000E)
    configure(vm, f"[Reservation card]\nGroup={card.identity}\nVendorId=8086\nDeviceId=10d3\n")
    vm.reboot()
    until_equal(lambda: state(vm, "card"), lambda: "claimed", "the state of the reservation")
    assert vm.guest.read(LIST).startswith(f"card\tgroup\t{card.identity}\t"), vm.guest.read(LIST)
    probed = [line for line in journal(vm, "--dmesg") if re.search(rf"e1000e {card.address}.* eth\d", line)]

    def told() -> list[str]:
        return [line for line in journal(vm, "--unit vfiogroupd-reserve.service") if "has it already" in line]

    if vm.kernel.interface == "legacy":
        assert not probed and not told(), (probed, told())
    else:
        assert probed
        words = f"{card.address}: the driver e1000e has it already (the driver is built into"
        until(lambda: words in str(told()), "the helper to say who was faster")
    vm.guest.check(f"rm {LOCAL}")
    vm.reboot()
    assert vm.daemon.claims() == [] and vm.sysfs.find(E1000E).driver == "e1000e"


@test({}, {"hotplug": ("intel",)}, interface="legacy", userspace="systemd")
@test({}, {"hotplug": ("intel",)}, interface="legacy", userspace="trixie")
def a_reserved_device_that_is_plugged_in_later_never_gets_its_driver(vm: Machine) -> None:
    from_package(vm)
    port = next(f for f in vm.sysfs.functions().values() if f.identity == "pci0000-00_09.0")
    configure(vm, f"[Reservation late]\nGroup={port.identity}_00.0\n")
    vm.guest.check("vfiogroupctl reload")
    vm.qemu.plug("late", "qemu-xhci", bus="rp8")
    until_equal(lambda: state(vm, "late"), lambda: "claimed", "the state of the reservation")
    address = next(f.address for f in vm.sysfs.functions().values() if f.parent == port.address)
    assert vm.guest.read(f"{PCI}/{address}/driver_override").strip() == "vfio-pci"
    assert not [line for line in journal(vm, "--dmesg") if f"xhci_hcd {address}" in line]
    vm.guest.check(f"rm {LOCAL}")
    vm.daemon.release("late")
    vm.qemu.unplug("late")


@test({}, NONE, userspace="systemd")
@test({}, NONE, interface="iommufd", userspace="trixie")
def without_an_iommu_the_package_serves_the_inventory_and_says_why_nothing_can_be_claimed(vm: Machine) -> None:
    from_package(vm)
    assert "no IOMMU isolates any device" in vm.daemon.property("StatusText")  # type: ignore[attr-defined]
    card = vm.sysfs.find(E1000E).address
    assert card in vm.daemon.devices()
    assert "IOMMU" in vm.daemon.refusal(f"claim {card}")
