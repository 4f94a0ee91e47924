"""A release that waits for a consumer, while the service is restarted, upgraded and killed: each next daemon waits on, and
nothing happens to a device under its consumer."""

import dataclasses

from cases.claims import E1000E, unchanged
from cases.package import PACKAGE, from_package
from cases.service_store import kill_9, restart
from daemon import JSON
from guest import Process
from machine import Machine
from suite import test
from waiting import until

PLACES = {"small": ("intel",)}


@dataclasses.dataclass
class Used:
    """A claim with its consumer, which marked a register of the device and ends when that is reset."""

    name: str
    card: str
    owner: Process
    consumer: int


def use(vm: Machine, access: str, card: str, before: list[Used]) -> Used:
    user = " --user nobody" if access == "path" else ""
    owner = vm.guest.start(f"vfiogroupctl claim {card} --access {access}{user} --name {access} --lifetime manual -- "
                           f"vfio-consume hold {card} marked")
    until(lambda: "marked" in owner.output() or not owner.is_running(), "the consumer to use the device")
    assert owner.is_running(), owner.output()
    known = {used.consumer for used in before}
    [consumer] = {int(word) for word in vm.guest.check("pidof vfio-consume").split()} - known
    return Used(access, card, owner, consumer)


def waits(vm: Machine, used: Used) -> bool:
    """Whether the release of a claim is shown to wait for the consumer."""
    claim = vm.daemon.claim_of(used.name)
    operation: JSON | None = claim["groups"][0].get("operation") if claim else None
    return operation is not None and operation["action"] == "wait for the owner"


def reinstall(vm: Machine) -> None:
    """An upgrade by the package that is installed already."""
    before = vm.daemon.process.pid
    vm.guest.check(f"DEBIAN_FRONTEND=noninteractive dpkg -i {PACKAGE}", 600)
    vm.daemon.start()
    assert vm.daemon.process.pid != before, "the upgrade did not restart the daemon"


def prove_that_releases_wait(vm: Machine, accesses: list[str]) -> None:
    from_package(vm)
    cards = sorted(f.address for f in vm.sysfs.functions().values() if f.ids == E1000E)
    # udev may not be done with them.
    until(lambda: all(vm.sysfs.settings()[card].driver == "e1000e" for card in cards), "the cards' drivers")
    with unchanged(vm):
        all_used: list[Used] = []
        # The first card is a group of its own, the others are one together.
        for access, card in zip(accesses, cards):
            all_used.append(use(vm, access, card, all_used))
        releases = [vm.guest.start(f"vfiogroupctl release {used.name}") for used in all_used]
        for used in all_used:
            until(lambda: waits(vm, used), f"the release of {used.name} to wait for its consumer")  # noqa: B023
        for end in (restart, reinstall, kill_9):
            end(vm)
            for used in all_used:
                what = f"the release of {used.name} to wait after {end.__name__}"
                until(lambda: waits(vm, used), what)  # noqa: B023
        now = vm.sysfs.settings()
        assert {now[card].driver for card in cards} == {"vfio-pci"}, now
        for used in all_used:
            assert used.owner.is_running() and "was reset" not in used.owner.output(), used.owner.output()
            vm.guest.check(f"kill -KILL {used.consumer}")
        until(lambda: vm.daemon.claims() == [], "the releases to end with the consumers")
        until(lambda: not any(release.is_running() for release in releases), "the clients of the releases to end")
        until(lambda: {vm.sysfs.settings()[card].driver for card in cards} == {"e1000e"}, "the cards' drivers")


@test(PLACES, interface="legacy", userspace="systemd")
def releases_wait_for_consumers_of_groups_through_a_restart_an_upgrade_and_a_kill(vm: Machine) -> None:
    prove_that_releases_wait(vm, ["container", "path"])


@test(PLACES, interface="iommufd", userspace="trixie")
def releases_wait_for_consumers_of_devices_through_a_restart_an_upgrade_and_a_kill(vm: Machine) -> None:
    prove_that_releases_wait(vm, ["bound", "unbound"])
