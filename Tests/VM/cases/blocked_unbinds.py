"""An unbind that waits for somebody who has the device open: nobody else waits, and it is found again after a restart."""

from collections.abc import Callable

from cases.claims import E1000E, unchanged
from cases.ownership import state
from daemon import JSON
from guest import Process
from machine import Machine
from suite import test
from sysfs import PCI
from waiting import until, until_equal

PLACES, FURTHER = {"small": ("intel",)}, {"small": ("amd",)}


def stranger(vm: Machine, end_of_daemon: Callable[[], object]) -> Process:
    """A program that got at the device behind the daemon's back: while that was dead, root could."""
    card = vm.sysfs.find(E1000E)
    end_of_daemon()
    if vm.kernel.interface == "legacy":
        holder = vm.guest.start(f"vfio-hold group {card.kernel_group} {card.address}")
    else:
        holder = vm.guest.start(f"vfio-hold cdev {vm.guest.check(f'ls {PCI}/{card.address}/vfio-dev').strip()}")
    until(lambda: "holding" in holder.output() or not holder.is_running(), "the device to be held")
    assert holder.is_running(), holder.output()
    vm.daemon.start()
    return holder


@test(PLACES, FURTHER)
def an_unbind_that_blocks_is_shown_survives_a_restart_and_ends_with_the_holder(vm: Machine) -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        vm.daemon.claim(f"{card} --name held")
        holder = stranger(vm, vm.daemon.process.kill)
        # The claim is there, and not owned any more.
        until_equal(lambda: state(vm, "held"), lambda: "degraded", "the claim's state")
        release = vm.guest.start("vfiogroupctl release held")

        def blocked() -> JSON | None:
            claim = vm.daemon.claim_of("held")
            operation: JSON | None = claim["groups"][0].get("operation") if claim else None
            return operation if operation and operation["blocked"] and operation["seconds"] > 2 else None

        operation = until(blocked, "the unbind to be shown as blocked")
        assert operation is not None and operation["action"] == "restore", operation
        worker = operation["pid"]
        assert "vfiogroupd-call" in vm.guest.read(f"/proc/{worker}/comm")
        assert [group["state"] for group in vm.daemon.groups() if card in str(group)] == ["releasing"]

        vm.daemon.process.kill("KILL")
        vm.daemon.start()
        again = until(blocked, "the unbind to be shown as blocked after a restart")
        assert again is not None and again["pid"] == worker, (again, worker)
        assert vm.guest.run(f"test -d /proc/{worker}").status == 0, "the unbind did not wait: nothing was tested"
        vm.daemon.process.kill("TERM")
        vm.daemon.start()
        assert until(blocked, "the unbind to be shown as blocked after a stop") is not None

        holder.kill()
        until(lambda: vm.daemon.claims() == [], "the release to end with the holder")
        until(lambda: not release.is_running(), "the client of the release to end")
        until_equal(lambda: vm.sysfs.settings()[card].driver, lambda: "e1000e", "the card's driver")
