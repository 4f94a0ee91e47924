"""Programs that use what was claimed for them, without any right of their own; and what becomes of it when they end."""

from collections.abc import Iterator
from contextlib import contextmanager

from cases.claims import E1000, E1000E, unchanged
from cases.ownership import cards, state, wait_until_whole
from daemon import JSON
from guest import Process
from machine import Machine
from suite import test
from sysfs import PCI
from waiting import until, until_equal

PLACES, FURTHER = {"small": ("intel",)}, {"small": ("amd",), "rich": ("intel",)}


def read(ids: str) -> str:
    """What vfio-consume says of a device when it has read its config space."""
    return f"read {ids} as uid 65534"


READ = read(E1000E)


def start(vm: Machine, access: str, card: str, words: str) -> Process:
    return vm.guest.start(f"vfiogroupctl claim {card} --access {access} {words} -- vfio-consume hold {card}")


def wait_for_consumer(process: Process, ids: str = E1000E) -> None:
    until(lambda: read(ids) in process.output() or not process.is_running(), "the consumer to use the device")
    assert read(ids) in process.output(), process.output()


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
        # Its words may be that e1000e's probe still has the device's lock, in a busy guest.
        until(lambda: vm.daemon.claim_of("used") is None, f"the claim to have gone: {release.output()}")


@test({"hotplug": ("intel",)}, {"hotplug": ("amd",)}, interface="legacy")
def a_card_that_a_containers_consumer_does_not_have_open_is_taken_again(vm: Machine) -> None:
    first, second = cards(vm)
    with unchanged(vm):
        wait_for_consumer(start(vm, "container", first, "--name used --lifetime manual"), E1000)
        monitor = vm.daemon.monitor()
        vm.guest.write(f"{PCI}/{second}/driver/unbind", second)
        monitor.wait_for("memberRetaken", member=second)
        until_equal(lambda: vm.sysfs.settings()[second].driver, lambda: "vfio-pci", "the card's driver")
        until_equal(lambda: state(vm, "used"), lambda: "claimed", "the claim's state")
        monitor.stop()
        vm.guest.check(f"kill -KILL {consumer(vm)}")
        until(lambda: access_of(vm, "used") == "hold", "the daemon to have the group again")
        vm.daemon.release("used")


FOLDER = "/tmp/backing"


@contextmanager
def backing(vm: Machine) -> Iterator[str]:
    """A file to map, on a file system of its own: that can be unmounted when nobody has it mapped any more."""
    vm.guest.check(f"mkdir -p {FOLDER} && mount -t tmpfs tmpfs {FOLDER} && dd if=/dev/zero of={FOLDER}/file bs=1M count=1")
    yield f"{FOLDER}/file"
    until(lambda: vm.guest.run(f"umount {FOLDER}").status == 0, "the file to be mapped by nobody")


def prove_that_a_second_launch_finds_nothing_of_the_first(vm: Machine, access: str) -> None:
    """Both map the same: memory, and a file. The first is killed with all of it mapped."""
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        for launch in (f"vfiogroupctl claim {card} --access {access} --name used --lifetime manual --",
                       f"vfio-launch used {access}"):
            with backing(vm) as file:
                owner = vm.guest.start(f"{launch} vfio-consume hold {card} file={file}")
                wait_for_consumer(owner)
                # Each leaves an address space of its own behind in its iommufd.
                said = owner.output()
                assert "others had 0 bytes mapped, spaces 1" in said, said
                print(f"VM note: {next(line for line in said.splitlines() if line.startswith('mapped the file'))}")
                assert vm.guest.run(f"umount {FOLDER}").status != 0, "the file is not mapped: nothing was tested"
                claim = vm.daemon.claim_of("used")
                assert claim is not None and claim["access"] == access and claim["groups"][0]["owned"], claim
                vm.guest.check(f"kill -KILL {consumer(vm)}")
                until(lambda: access_of(vm, "used") == "hold", "the daemon to have the group again")
        vm.daemon.release("used")


@test(PLACES, FURTHER, interface="legacy")
@test({}, PLACES, interface="iommufd")
def a_second_launch_of_a_container_maps_what_the_first_had_mapped_when_it_was_killed(vm: Machine) -> None:
    prove_that_a_second_launch_finds_nothing_of_the_first(vm, "container")


@test(PLACES, FURTHER, interface="iommufd")
def a_second_launch_of_bound_devices_gets_another_iommufd_and_maps_what_the_first_had_mapped(vm: Machine) -> None:
    prove_that_a_second_launch_finds_nothing_of_the_first(vm, "bound")
