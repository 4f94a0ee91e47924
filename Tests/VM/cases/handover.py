"""Hand-over to programs that bind by themselves: fresh character devices, and nodes opened to a user. What is unowned
meanwhile, and that nobody comes in where nothing is."""

from cases.claims import E1000, E1000E, unchanged
from cases.consumers import READ, access_of, consumer, read
from cases.ownership import UNPLUGS, UNPLUGS_LEGACY, cards, state, wait_until_moments_end, wait_until_whole
from daemon import JSON
from guest import Process
from machine import Machine
from suite import test
from sysfs import PCI
from waiting import until, until_equal

PLACES, FURTHER = {"small": ("intel",)}, {"small": ("amd",)}
CONVENTIONAL, CONVENTIONAL_FURTHER = {"hotplug": ("intel",)}, {"hotplug": ("amd",)}
NOBODY = "--user nobody"


def nodes(vm: Machine) -> dict[str, str]:
    """The nodes of groups and devices, with their owner's number and mode."""
    printed = vm.guest.check("stat -c '%n %u %a' /dev/vfio/[0-9]* /dev/vfio/devices/* 2>/dev/null; true")
    return {line.split()[0]: " ".join(line.split()[1:]) for line in printed.splitlines()}


def claim_of(vm: Machine, name: str) -> JSON:
    claim = vm.daemon.claim_of(name)
    assert claim is not None, vm.daemon.claims()
    return claim


def start_consumer(vm: Machine, claim: str, words: str, ids: str = E1000E) -> None:
    """Makes the claim `used` for a program that uses a device with these IDs until it is killed."""
    owner = vm.guest.start(
        f"vfiogroupctl claim {claim} --name used --lifetime manual -- vfio-consume hold {words}")
    until(lambda: read(ids) in owner.output() or not owner.is_running(), "the consumer")
    assert owner.is_running(), owner.output()


def wait_until_held(vm: Machine) -> None:
    until(lambda: access_of(vm, "used") == "hold", "the daemon to have the group again")


def wait_until_nodes_are_roots(vm: Machine) -> None:
    until_equal(lambda: set(nodes(vm).values()), lambda: {"0 600"}, "whose the nodes are")


def prove_by_path(vm: Machine, words: str = "") -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        start_consumer(vm, f"{card} --access path {NOBODY}", f"{card} {words}")
        assert set(nodes(vm).values()) == {"65534 600"}, nodes(vm)
        claim = claim_of(vm, "used")
        assert claim["access"] == "path" and claim["unownedMoments"], claim
        # A consumer that was not seen is waited for, for minutes.
        until(lambda: all(group["owned"] for group in claim_of(vm, "used")["groups"]), "the consumer to be seen")
        vm.guest.check(f"kill -KILL {consumer(vm)}")
        wait_until_held(vm)
        wait_until_whole(vm, "used", [card])
        wait_until_nodes_are_roots(vm)
        wait_until_moments_end(vm, "used")
        vm.daemon.release("used")


@test(PLACES, FURTHER)
def an_unprivileged_program_opens_the_nodes_that_are_its_own_until_it_ends(vm: Machine) -> None:
    prove_by_path(vm)


@test(PLACES, FURTHER, interface="iommufd")
def an_unprivileged_program_opens_the_node_of_a_group_beside_the_barrier(vm: Machine) -> None:
    prove_by_path(vm, "group")


@test(PLACES, FURTHER)
def nodes_are_what_they_were_when_the_daemon_was_killed_while_a_user_had_them(vm: Machine) -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        vm.daemon.claim(f"{card} --access path --consumer-timeout 20 {NOBODY} --name used --lifetime manual")
        assert set(nodes(vm).values()) == {"65534 600"}, nodes(vm)
        vm.daemon.process.kill("KILL")
        vm.daemon.start()
        # Nobody has come for them.
        wait_until_held(vm)
        wait_until_whole(vm, "used", [card])
        wait_until_nodes_are_roots(vm)
        vm.daemon.release("used")


@test(PLACES, FURTHER)
def nodes_that_came_back_with_a_device_that_was_unbound_are_their_users_again(vm: Machine) -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        vm.daemon.claim(f"{card} --access path {NOBODY} --name used --lifetime manual")
        opened = set(nodes(vm).values())
        assert opened == {"65534 600"}, opened
        monitor = vm.daemon.monitor()
        unbind = vm.guest.start(f"sh -c 'echo {card} > {PCI}/{card}/driver/unbind'")
        until(lambda: not unbind.is_running(), "the unbind to end, which does not wait for the daemon")
        monitor.wait_for("memberRetaken", member=card)
        monitor.stop()
        assert vm.sysfs.settings()[card].driver == "vfio-pci"
        until_equal(lambda: set(nodes(vm).values()), lambda: opened, "whose the nodes are")
        assert access_of(vm, "used") == "path"
        vm.daemon.release("used")


def boot_seconds(vm: Machine) -> float:
    return float(vm.guest.read("/proc/uptime").split()[0])


# In one place, since it takes its minute wherever it is run.
@test(PLACES, FURTHER, interface="legacy")
@test({}, PLACES, interface="iommufd")
def a_program_that_comes_for_its_nodes_after_a_minute_gets_in(vm: Machine) -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        owner = vm.guest.start(
            f"vfiogroupctl claim {card} --access path {NOBODY} --name used --lifetime manual -- "
            f"sh -c 'until [ -e /tmp/come ]; do sleep 1; done; exec vfio-consume hold {card}'")
        until(lambda: access_of(vm, "used") == "path" or not owner.is_running(), "the hand-over")
        opened, began = nodes(vm), boot_seconds(vm)
        assert set(opened.values()) == {"65534 600"}, opened

        def a_minute_has_passed() -> bool:
            is_over = boot_seconds(vm) - began > 60
            claim = claim_of(vm, "used")
            [group], [moment] = claim["groups"], claim["unownedMoments"]
            assert claim["access"] == "path" and claim["state"] == "claimed" and not group["owned"], claim
            assert "no consumer has opened its nodes yet" in group["unownedReason"], claim
            assert "seconds" not in moment, claim
            assert nodes(vm) == opened, nodes(vm)
            return is_over

        until(a_minute_has_passed, "a minute to pass", 300)
        vm.guest.check("touch /tmp/come")
        until(lambda: READ in owner.output() or not owner.is_running(), "the consumer")
        assert owner.is_running(), owner.output()
        until(lambda: claim_of(vm, "used")["groups"][0]["owned"], "the consumer to be seen")
        wait_until_moments_end(vm, "used")
        [moment] = claim_of(vm, "used")["unownedMoments"]
        assert moment["seconds"] > 60, moment
        vm.guest.check(f"rm /tmp/come; kill -KILL {consumer(vm)}")
        wait_until_held(vm)
        wait_until_whole(vm, "used", [card])
        vm.daemon.release("used")


@test(PLACES, FURTHER, interface="iommufd")
def a_device_that_a_program_binds_by_itself_is_unowned_for_a_moment_that_is_told(vm: Machine) -> None:
    card = vm.sysfs.find(E1000E).address
    with unchanged(vm):
        start_consumer(vm, f"{card} --access unbound", card)
        claim = claim_of(vm, "used")
        assert claim["access"] == "unbound" and len(claim["unownedMoments"]) == 1, claim
        vm.guest.check(f"kill -KILL {consumer(vm)}")
        wait_until_held(vm)
        wait_until_whole(vm, "used", [card])
        wait_until_moments_end(vm, "used")
        vm.daemon.release("used")


@test(CONVENTIONAL, CONVENTIONAL_FURTHER, interface="iommufd")
def with_a_member_left_out_an_attacker_never_wins_a_sibling(vm: Machine) -> None:
    """The daemon keeps the first card bound; the program binds the second in the same iommufd, in an address space of its
    own. Whatever becomes of the second, the group is never unowned."""
    first, second = cards(vm)
    with unchanged(vm):
        start_consumer(vm, f"{first} --access unbound --leave-out {first}", second, E1000)
        attack = attacker(vm, second)
        vm.guest.check(f"kill -KILL {consumer(vm)}")
        wait_until_held(vm)
        # The attacker has taken the card from vfio and cleared its pin: only that the group is owned refuses the driver.
        until(lambda: "refused 100" in attack.output() or not attack.is_running(), "the attacker to be refused")
        assert "won" not in attack.output(), attack.output()
        attack.kill()
        claim = claim_of(vm, "used")
        assert claim["groups"][0]["owned"] and claim["unownedMoments"] == [], claim
        vm.daemon.release("used")


@test(CONVENTIONAL, CONVENTIONAL_FURTHER)
def in_a_container_an_attacker_never_wins_a_sibling(vm: Machine) -> None:
    first, second = cards(vm)
    with unchanged(vm):
        start_consumer(vm, f"{first} --access container", first, E1000)
        attack = attacker(vm, second)
        # An open group does not keep the card from being unbound; the kernel refuses the host driver all the same.
        until(lambda: "refused 100" in attack.output() or not attack.is_running(), "the attacker to be refused")
        # The daemon takes it again once a minute, for a moment.
        until(lambda: vm.sysfs.settings()[second].driver == "", "the card to be unbound, without which nothing is tested")
        assert "won" not in attack.output(), attack.output()
        attack.kill()
        vm.guest.check(f"kill -KILL {consumer(vm)}")
        wait_until_held(vm)
        assert claim_of(vm, "used")["groups"][0]["owned"]
        vm.daemon.release("used")


def attacker(vm: Machine, card: str) -> Process:
    """Somebody who keeps binding the host driver to a card."""
    attack = vm.guest.start(f"bind-attack {card} e1000")
    until(lambda: "attacking" in attack.output(), "the attack")
    return attack


@test(UNPLUGS, interface="iommufd")
@test(UNPLUGS_LEGACY, interface="legacy")
def a_device_plugged_into_an_owned_group_never_gets_a_host_driver(vm: Machine) -> None:
    first, second = cards(vm)
    with unchanged(vm) as before:
        vm.daemon.claim(f"{first} --name held")
        probes = vm.guest.check("dmesg | grep -c 'e1000 0000:.* eth' || true")
        monitor = vm.daemon.monitor()
        for round_ in range(vm.times(5, 20)):
            vm.qemu.plug(f"plugged{round_}", "e1000", bus="br1", addr="5", romfile="")
            until(lambda: len(cards(vm)) == 3, "the plugged device")
            added = cards(vm)[-1]
            wait_until_whole(vm, "held", [first, second, added])
            vm.qemu.unplug(f"plugged{round_}")
            until(lambda: len(cards(vm)) == 2, "the plugged device to have gone")
        assert not any(event["kind"] == "memberDriverChanged" and "e1000 now" in event["cause"]
                       for event in monitor.events()), monitor.events()
        monitor.stop()
        assert vm.guest.check("dmesg | grep -c 'e1000 0000:.* eth' || true") == probes
        vm.daemon.release("held")
        until_equal(lambda: set(vm.sysfs.functions()), lambda: set(before), "the functions")


@test(CONVENTIONAL, CONVENTIONAL_FURTHER, interface="iommufd")
def a_device_that_is_unplugged_while_its_consumer_has_it_open_leaves_when_that_has_ended(vm: Machine) -> None:
    before = set(vm.sysfs.functions())
    with unchanged(vm):
        vm.qemu.plug("plugged", "e1000e", bus="rp8", romfile="")
        card = str(until(lambda: next(iter(set(vm.sysfs.functions()) - before), None), "the plugged device"))
        until(lambda: vm.sysfs.settings()[card].driver == "e1000e", "its driver")
        until(lambda: card in vm.daemon.devices(), "the daemon to see it")
        group = vm.daemon.group_of(card)["id"]
        start_consumer(vm, f"{card} --access bound", card)
        monitor = vm.daemon.monitor()
        vm.qemu.request_unplug("plugged")
        monitor.wait_for("removalRequested", member=card)
        until_equal(lambda: state(vm, "used"), lambda: "degraded", "the claim's state")
        assert card in vm.sysfs.functions(), "the removal did not wait: nothing was tested"

        vm.guest.check(f"kill -KILL {consumer(vm)}")
        vm.qemu.unplug("plugged")
        monitor.wait_for("groupRemoved", group=group)
        monitor.stop()
        vm.daemon.release("used")
        until_equal(lambda: set(vm.sysfs.functions()), lambda: before, "the functions")


PARAMETERS = [f"/sys/module/{module}/parameters/allow_unsafe_interrupts" for module in ("iommufd", "vfio_iommu_type1")]


@test({"small": ("virtio",)}, {"rich": ("virtio",)}, interface="iommufd")
def without_interrupt_remapping_groups_are_claimable_when_the_kernel_is_told_to_do_without(vm: Machine) -> None:
    """virtio-iommu remaps no interrupts, so that the kernel gives its devices to processes only with
    allow_unsafe_interrupts."""
    card = vm.sysfs.find(E1000E).address
    assert [vm.guest.read(path).strip() for path in PARAMETERS] == ["N", "N"]
    with unchanged(vm):
        group = vm.daemon.group_of(card)
        assert not group["claimable"] and "allow_unsafe_interrupts" in group["reason"], group
        assert "does not remap interrupts" in vm.daemon.refusal(f"claim {card}")
        for path in PARAMETERS:
            vm.guest.write(path, "Y")
        # Nothing announces that; who claims has it looked at.
        for access in ("bound", "container"):
            said = vm.guest.check(f"vfiogroupctl claim {card} --access {access} -- vfio-consume once {card}")
            assert READ in said, said
            until(lambda: vm.daemon.claims() == [], "the end of the claim")
        for path in PARAMETERS:
            vm.guest.write(path, "N")
        vm.daemon.refusal(f"claim {card}")
