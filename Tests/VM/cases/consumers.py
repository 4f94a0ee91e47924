"""Programs that use what was claimed for them, without any right of their own; and what becomes of it when they end."""

from cases.claims import E1000E, unchanged
from cases.ownership import wait_until_whole
from daemon import JSON
from guest import Process
from machine import Machine
from suite import test
from waiting import until

PLACES, FURTHER = {"small": ("intel",)}, {"small": ("amd",), "rich": ("intel",)}
READ = "read 0x8086:0x10d3 as uid 65534"


def start(vm: Machine, access: str, card: str, words: str) -> Process:
    return vm.guest.start(f"vfiogroupctl claim {card} --access {access} {words} -- vfio-consume hold {card}")


def wait_for_consumer(process: Process) -> None:
    until(lambda: READ in process.output() or not process.is_running(), "the consumer to use the device")
    assert READ in process.output(), process.output()


def consumer(vm: Machine) -> int:
    """The process of the one vfio-consume."""
    return int(vm.guest.check("pidof vfio-consume"))


def access_of(vm: Machine, name: str) -> str | None:
    claim = vm.daemon.claim_of(name)
    return claim["access"] if claim else None


def prove_that_it_maps_and_reads(vm: Machine, access: str) -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        said = vm.guest.check(f"vfiogroupctl claim {card} --access {access} -- vfio-consume once {card}")
        assert READ in said, said
        # The claim's owner has ended with its command.
        until(lambda: vm.daemon.claims() == [], "the end of the claim")


def prove_that_the_daemon_has_it_again(vm: Machine, access: str) -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        owner = start(vm, access, card, "--name used --lifetime manual")
        wait_for_consumer(owner)
        claim = vm.daemon.claim_of("used")
        assert claim is not None and claim["access"] == access and claim["groups"][0]["owned"], claim
        refused = vm.daemon.refusal(f"claim {card}")
        assert '"used"' in refused and f"process {owner.pid} (vfiogroupctl)" in refused, refused

        monitor = vm.daemon.monitor()
        vm.guest.check(f"kill -KILL {consumer(vm)}")
        until(lambda: not owner.is_running(), "the owner to end with its command")
        until(lambda: access_of(vm, "used") == "hold", "the daemon to have the group again")
        monitor.wait_for("claimChanged")
        wait_until_whole(vm, "used", [card])
        monitor.stop()
        vm.daemon.release("used")


def prove_that_a_restart_leaves_the_consumer_alone(vm: Machine, access: str) -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        owner = start(vm, access, card, "--name used")
        wait_for_consumer(owner)
        vm.daemon.process.kill("KILL")
        vm.daemon.start()
        claim = vm.daemon.claim_of("used")
        assert claim is not None and claim["access"] == access and claim["state"] == "claimed", claim
        assert owner.is_running()
        vm.guest.check(f"kill -KILL {consumer(vm)}")
        until(lambda: vm.daemon.claims() == [], "the end of the claim")


@test(PLACES, FURTHER)
def an_unprivileged_program_uses_a_container(vm: Machine) -> None:
    prove_that_it_maps_and_reads(vm, "container")


@test(PLACES, FURTHER, interface="iommufd")
def an_unprivileged_program_uses_bound_devices(vm: Machine) -> None:
    prove_that_it_maps_and_reads(vm, "bound")


@test(PLACES, FURTHER, interface="legacy")
@test({}, PLACES, interface="iommufd")
def after_the_end_of_a_containers_consumer_the_daemon_has_the_group_again(vm: Machine) -> None:
    prove_that_the_daemon_has_it_again(vm, "container")


@test(PLACES, FURTHER, interface="iommufd")
def after_the_end_of_a_bound_devices_consumer_the_daemon_has_it_again(vm: Machine) -> None:
    prove_that_the_daemon_has_it_again(vm, "bound")


@test(PLACES, FURTHER, interface="legacy")
@test({}, PLACES, interface="iommufd")
def a_restart_leaves_a_containers_consumer_alone(vm: Machine) -> None:
    prove_that_a_restart_leaves_the_consumer_alone(vm, "container")


@test(PLACES, FURTHER, interface="iommufd")
def a_restart_leaves_a_bound_devices_consumer_alone(vm: Machine) -> None:
    prove_that_a_restart_leaves_the_consumer_alone(vm, "bound")


@test(PLACES, FURTHER, interface="legacy")
@test({}, PLACES, interface="iommufd")
def a_release_waits_for_a_consumer_that_has_nothing_but_the_devices_descriptor(vm: Machine) -> None:
    """Of such a descriptor /proc tells nothing before Linux 6.18."""
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        owner = vm.guest.start(
            f"vfiogroupctl claim {card} --access container --name used --lifetime manual -- vfio-consume device {card}")
        wait_for_consumer(owner)
        release = vm.guest.start("vfiogroupctl release used")

        def waits() -> bool:
            claim = vm.daemon.claim_of("used")
            operation: JSON = claim["groups"][0].get("operation", {}) if claim else {}
            return bool(operation) and operation["action"] == "wait for the owner" and operation["seconds"] > 2

        until(waits, "the release to wait for the consumer")
        assert vm.sysfs.settings()[card].driver == "vfio-pci" and release.is_running()
        vm.guest.check(f"kill -KILL {consumer(vm)}")
        until(lambda: not release.is_running(), "the release to end")
        assert "released" in release.output(), release.output()
