"""An unbind that waits for somebody who has the device open: nobody else waits, and it is found again after a restart."""

from collections.abc import Callable

from cases.claims import E1000E, unchanged
from cases.consumers import consumer, start, wait_for_consumer
from cases.ownership import state, wait_until_whole
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


def waits_for(vm: Machine, name: str, holder: Process) -> bool:
    """Whether the way back of a claim is shown to wait for a process that has its device open."""
    claim = vm.daemon.claim_of(name)
    operation: JSON | None = claim["groups"][0].get("operation") if claim else None
    return operation is not None and f"process {holder.pid} " in operation.get("waitsFor", "")


@test(PLACES, FURTHER)
def a_release_waits_for_a_stranger_through_restarts_and_unbinds_nothing_under_it(vm: Machine) -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        vm.daemon.claim(f"{card} --name held")
        holder = stranger(vm, vm.daemon.process.kill)
        # The claim is there, and not owned any more.
        until_equal(lambda: state(vm, "held"), lambda: "degraded", "the claim's state")
        release = vm.guest.start("vfiogroupctl release held")

        until(lambda: waits_for(vm, "held", holder), "the release to wait for the stranger")
        assert [group["state"] for group in vm.daemon.groups() if card in str(group)] == ["releasing"]
        for signal in ("KILL", "TERM"):
            vm.daemon.process.kill(signal)
            vm.daemon.start()
            until(lambda: waits_for(vm, "held", holder), f"the release to wait after {signal}")
        assert holder.is_running() and vm.sysfs.settings()[card].driver == "vfio-pci"

        holder.kill()
        until(lambda: vm.daemon.claims() == [], "the release to end with the holder")
        until(lambda: not release.is_running(), "the client of the release to end")
        until_equal(lambda: vm.sysfs.settings()[card].driver, lambda: "e1000e", "the card's driver")


@test(PLACES, FURTHER, interface="legacy")
def an_unbind_that_waits_for_a_consumer_is_told_also_where_the_kernel_announces_nothing(vm: Machine) -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        wait_for_consumer(start(vm, "container", card, "--name used --lifetime manual"))
        monitor = vm.daemon.monitor()
        unbind = vm.guest.start(f"sh -c 'echo {card} > {PCI}/{card}/driver/unbind'")
        monitor.wait_for("removalRequested", member=card)
        until_equal(lambda: state(vm, "used"), lambda: "degraded", "the claim's state")
        assert unbind.is_running(), "the unbind did not wait: nothing was tested"
        vm.guest.check(f"kill -KILL {consumer(vm)}")
        until(lambda: not unbind.is_running(), "the unbind to end")
        monitor.wait_for("memberRetaken", member=card)
        wait_until_whole(vm, "used", [card])
        assert [event["kind"] for event in monitor.events()].count("removalRequested") == 1, monitor.events()
        monitor.stop()
        vm.daemon.release("used")
