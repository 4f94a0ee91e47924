"""Claims of a service that is restarted, killed, or stuck: what keeps them lies in systemd's store meanwhile."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from cases.blocked_unbinds import stranger, waits_for
from cases.claims import E1000E, unchanged
from cases.consumers import consumer, start, wait_for_consumer
from cases.ownership import cards, state, wait_until_whole
from daemon import Service
from machine import Machine
from suite import test
from sysfs import PCI
from waiting import until, until_equal

SMALL, HOTPLUG = {"small": ("intel",)}, {"hotplug": ("intel",)}

# Takes the pin off a member that the daemon does not own its group by, unbinds it, and binds its host driver, again and
# again. Once that has it, it lets go of it: what counts is that it had it.
ATTACK = """
card=%s
while [ -e /tmp/attack ]; do
    echo > %s/$card/driver_override
    echo $card > %s/$card/driver/unbind
    echo $card > /sys/bus/pci/drivers/e1000/bind && echo WON
    echo $card > /sys/bus/pci/drivers_probe
    case $(readlink %s/$card/driver) in */e1000) echo WON;; esac
    echo tried
done 2>/dev/null
"""


def service(vm: Machine) -> Service:
    assert isinstance(vm.daemon, Service)
    return vm.daemon


def restarts(vm: Machine) -> int:
    return int(service(vm).property("NRestarts"))


def in_store(vm: Machine) -> int:
    return int(service(vm).property("NFileDescriptorStore"))


def after_the_end(vm: Machine, before: int) -> None:
    """Waits for systemd to have started the daemon again, which has ended."""
    until(lambda: restarts(vm) > before and service(vm).property("ActiveState") == "active", "systemd's restart")
    vm.daemon.start()


def kill_9(vm: Machine) -> None:
    before = restarts(vm)
    vm.guest.run(f"kill -KILL {vm.daemon.process.pid}")
    after_the_end(vm, before)


def restart(vm: Machine) -> None:
    vm.guest.check(f"systemctl restart {Service.UNIT}")
    vm.daemon.start()


@contextmanager
def setting(vm: Machine, lines: str) -> Iterator[None]:
    """The service with other settings of its unit."""
    folder = f"/run/systemd/system/{Service.UNIT}.d"
    vm.guest.check(f"mkdir -p {folder}; printf '[Service]\\n{lines}\\n' > {folder}/test.conf; systemctl daemon-reload")
    restart(vm)
    yield
    vm.guest.check(f"rm {folder}/test.conf; systemctl daemon-reload")
    restart(vm)


def unowned(vm: Machine, name: str) -> list[dict[str, object]]:
    claim = vm.daemon.claim_of(name)
    assert claim is not None
    moments: list[dict[str, object]] = claim.get("unownedMoments", [])
    return moments


@test(HOTPLUG, userspace="systemd")
@test({}, HOTPLUG, userspace="trixie", interface="iommufd")
def no_attacker_gets_a_member_while_the_service_is_restarted_and_killed(vm: Machine) -> None:
    first, second = cards(vm)
    with unchanged(vm):
        vm.daemon.claim(f"{first} --name held --lifetime manual")
        # What owns the group and what it belongs to: iommufd and cdev, or container and group; and the owner.
        until_equal(lambda: in_store(vm), lambda: 3, "the number of descriptors in the store")
        vm.guest.check("touch /tmp/attack; cat > /tmp/attack.sh <<'END'\n%s\nEND" % (ATTACK % (second, PCI, PCI, PCI)))
        attack = vm.guest.start("sh /tmp/attack.sh")
        for _ in range(vm.times(3, 10)):
            for end in (restart, kill_9):
                tries = attack.output().count("tried")
                end(vm)
                until(lambda: attack.output().count("tried") > tries + 1, "the attacker to have tried")  # noqa: B023
        vm.guest.check("rm /tmp/attack")
        until(lambda: not attack.is_running(), "the end of the attack")
        said = attack.output()
        print(f"VM note: the attacker tried {said.count('tried')} times")
        assert "WON" not in said, f"{said.count('WON')} of {said.count('tried')} binds of a host driver succeeded"
        assert unowned(vm, "held") == [], unowned(vm, "held")
        # The last try may have left it driverless.
        vm.guest.run(f"echo vfio-pci > {PCI}/{second}/driver_override; echo {second} > /sys/bus/pci/drivers_probe")
        wait_until_whole(vm, "held", [first, second])
        # Of the owner, which has ended, the next daemon kept nothing.
        until_equal(lambda: in_store(vm), lambda: 2, "the number of descriptors in the store")
        vm.daemon.release("held")
        until_equal(lambda: in_store(vm), lambda: 0, "the number of descriptors in the store")


def prove_that_the_consumer_does_not_notice(vm: Machine, access: str) -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        owner = start(vm, access, card, "--name used --lifetime process")
        wait_for_consumer(owner)
        used = consumer(vm)
        # Nothing that the consumer has, but the iommufd; and the owner.
        until_equal(lambda: in_store(vm), lambda: 2 if access == "bound" else 1, "the number of descriptors in the store")
        for end in (restart, kill_9):
            end(vm)
            claim = vm.daemon.claim_of("used")
            assert claim is not None and claim["access"] == access and claim["state"] == "claimed", claim
            assert consumer(vm) == used and owner.is_running()
        assert unowned(vm, "used") == [], unowned(vm, "used")
        vm.guest.check(f"kill -KILL {used}")
        until(lambda: vm.daemon.claims() == [], "the end of the claim with its owner")
        until_equal(lambda: in_store(vm), lambda: 0, "the number of descriptors in the store")


@test(SMALL, userspace="systemd", interface="iommufd")
@test(SMALL, userspace="trixie", interface="iommufd")
def a_consumer_of_bound_devices_does_not_notice_a_restart_of_the_service(vm: Machine) -> None:
    prove_that_the_consumer_does_not_notice(vm, "bound")


@test(SMALL, userspace="systemd", interface="legacy")
def a_consumer_of_a_container_does_not_notice_a_restart_of_the_service(vm: Machine) -> None:
    prove_that_the_consumer_does_not_notice(vm, "container")


@test(SMALL, userspace="systemd")
@test({}, SMALL, userspace="trixie", interface="iommufd")
def an_owner_that_ends_while_the_service_is_down_is_missed_at_its_start(vm: Machine) -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm), setting(vm, "RestartSec=5"):
        owner = vm.guest.start(f"vfiogroupctl claim {card} --name held -- sleep 100000")
        until(lambda: state(vm, "held") == "claimed", "the claim")
        before = restarts(vm)
        vm.guest.run(f"kill -KILL {vm.daemon.process.pid}")
        owner.kill()
        vm.guest.run("kill -KILL $(pidof sleep)")
        after_the_end(vm, before)
        until(lambda: vm.daemon.claims() == [], "the end of the claim with its owner")


@test(SMALL, userspace="systemd")
@test(SMALL, userspace="trixie", interface="iommufd")
def a_stuck_service_is_ended_by_the_watchdog_and_its_claims_stay_owned(vm: Machine) -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm), setting(vm, "WatchdogSec=10\\nTimeoutAbortSec=5"):
        vm.daemon.claim(f"{card} --name held --lifetime manual")
        # Longer than the watchdog waits: it is fed.
        before = restarts(vm)
        last = service(vm).property("WatchdogTimestampMonotonic")
        until(lambda: service(vm).property("WatchdogTimestampMonotonic") != last, "the watchdog to be fed")
        assert restarts(vm) == before
        vm.guest.check(f"kill -STOP {vm.daemon.process.pid}")
        after_the_end(vm, before)
        assert "Watchdog timeout" in vm.guest.check(f"journalctl --quiet --boot --unit {Service.UNIT}")
        wait_until_whole(vm, "held", [card])
        assert unowned(vm, "held") == [], unowned(vm, "held")
        vm.daemon.release("held")


@test(SMALL, userspace="systemd")
@test(SMALL, userspace="trixie", interface="iommufd")
def a_stop_of_the_service_does_not_wait_for_a_release_that_waits(vm: Machine) -> None:
    card = vm.sysfs.find(E1000E)
    with unchanged(vm):
        vm.daemon.claim(f"{card.address} --name held --lifetime manual")
        # A stop empties the store.
        holder = stranger(vm, lambda: vm.guest.check(f"systemctl stop {Service.UNIT}"))
        release = vm.guest.start("vfiogroupctl release held")
        until(lambda: waits_for(vm, "held", holder), "the release to wait for the stranger")
        limit = float(seconds(service(vm).property("TimeoutStopUSec")))
        began = float(vm.guest.read("/proc/uptime").split()[0])
        vm.guest.check(f"systemctl stop {Service.UNIT}")
        took = float(vm.guest.read("/proc/uptime").split()[0]) - began
        print(f"VM note: the stop took {took:.1f} s of {limit:.0f} s")
        assert took < limit and service(vm).property("Result") == "success", took
        vm.daemon.start()
        until(lambda: waits_for(vm, "held", holder), "the release to wait after the stop")
        assert holder.is_running() and vm.sysfs.settings()[card.address].driver == "vfio-pci"
        holder.kill()
        until(lambda: vm.daemon.claims() == [], "the release to end with the holder")
        until(lambda: not release.is_running(), "the client of the release to end")


def seconds(span: str) -> float:
    """A time span as systemctl shows it: 1min 30s."""
    units = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|min|s|h)", span))
