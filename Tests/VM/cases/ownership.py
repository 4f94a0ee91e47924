"""What others try while a group is claimed, and what becomes of it. `hold` is enough: the daemon owns the group."""

from cases.claims import BRIDGE, E1000, E1000E, alone, unchanged
from daemon import member, names
from machine import Machine
from suite import test
from sysfs import PCI
from waiting import until, until_equal

PLACES, FURTHER = {"hotplug": ("intel",)}, {"hotplug": ("amd",)}
# Debian's 6.1.192 panics with intel-iommu when a device has been unplugged from a group of several, and the group then
# changes hands: the device stays in a list of its domain (list_del corruption below device_block_translation).
UNPLUGS, UNPLUGS_LEGACY = {"hotplug": ("intel",)}, {"hotplug": ("amd",)}


def cards(vm: Machine) -> list[str]:
    """The two cards behind the bridge, in the order of their addresses: ownership is had by the first."""
    bridge = vm.sysfs.find(BRIDGE).address
    return sorted(f.address for f in vm.sysfs.functions().values() if f.ids == E1000 and f.parent == bridge)


def state(vm: Machine, name: str) -> str | None:
    claim = vm.daemon.claim_of(name)
    return claim["state"] if claim else None


def wait_until_whole(vm: Machine, name: str, addresses: list[str]) -> None:
    """The claim is as it was made: all on vfio, pinned, owned."""

    def look() -> bool:
        claim, now = vm.daemon.claim_of(name), vm.sysfs.settings()
        wanted = ("vfio-pci", "vfio-pci")
        return claim is not None and claim["state"] == "claimed" and all(g["owned"] for g in claim["groups"]) and all(
            (now[address].driver, now[address].driver_override) == wanted for address in addresses)

    until(look, f"the claim {name} to be whole: {vm.daemon.claim_of(name)}")


def wait_until_moments_end(vm: Machine, name: str) -> None:
    """A group is owned before its nodes are taken back, and before it is written down how long it was unowned."""

    def look() -> bool:
        claim = vm.daemon.claim_of(name)
        return claim is not None and all("seconds" in moment for moment in claim["unownedMoments"])

    until(look, f"the unowned moments of {name} to be over")


@test(PLACES, FURTHER)
def the_kernel_refuses_host_drivers_in_a_claimed_group(vm: Machine) -> None:
    first, second = cards(vm)
    with unchanged(vm):
        vm.daemon.claim(f"{first} --name held")
        monitor = vm.daemon.monitor()
        # In one go, so that the daemon does not come between; nor is it the pin that keeps the driver away.
        said = vm.guest.run(
            f"echo > {PCI}/{second}/driver_override; echo {second} > {PCI}/{second}/driver/unbind; "
            f"echo {second} > /sys/bus/pci/drivers/e1000/bind").output
        assert "busy" in said or "No such device" in said, said
        assert vm.sysfs.settings()[second].driver != "e1000"
        monitor.wait_for("memberRetaken", member=second)
        wait_until_whole(vm, "held", [first, second])
        monitor.stop()
        vm.daemon.release("held")


@test(PLACES, FURTHER, interface="iommufd")
@test({}, PLACES, interface="legacy")
def a_pin_that_somebody_removes_is_set_again(vm: Machine) -> None:
    first, second = cards(vm)
    with unchanged(vm):
        vm.daemon.claim(f"{first} --name held")
        # Nothing tells of a write to driver_override: it is seen at the next change of anything.
        vm.guest.write(f"{PCI}/{second}/driver_override", "\n")
        vm.guest.write(f"{PCI}/{alone(vm)}/driver/unbind", alone(vm))
        wait_until_whole(vm, "held", [first, second])
        vm.guest.write("/sys/bus/pci/drivers_probe", alone(vm))
        vm.daemon.release("held")


@test(UNPLUGS, interface="iommufd")
@test(UNPLUGS_LEGACY, interface="legacy")
def a_device_plugged_into_a_claimed_group_is_taken_in(vm: Machine) -> None:
    first, second = cards(vm)
    with unchanged(vm) as before:
        vm.daemon.claim(f"{first} --name held")
        monitor = vm.daemon.monitor()
        vm.qemu.plug("plugged", "e1000", bus="br1", addr="5", romfile="")
        added = monitor.wait_for("memberAdded", group=vm.daemon.group_of(first)["id"])["member"]["name"]
        assert added not in before
        wait_until_whole(vm, "held", [first, second, added])
        assert not any(event["kind"] == "memberDriverChanged" and "e1000" in event["cause"]
                       for event in monitor.events()), monitor.events()
        vm.daemon.release("held")
        # It had no driver before; the kernel says which it gets.
        assert vm.sysfs.settings()[added].driver == "e1000"
        vm.qemu.unplug("plugged")
        until_equal(lambda: set(vm.sysfs.functions()), lambda: set(before), "the functions, without the plugged one")
        until_equal(vm.daemon.members, vm.sysfs.kernel_groups, "the groups and the kernel's")
        monitor.stop()


@test(UNPLUGS, interface="iommufd")
@test(UNPLUGS_LEGACY, interface="legacy")
def a_claimed_device_that_is_unplugged_degrades_its_group(vm: Machine) -> None:
    first, _ = cards(vm)
    vm.qemu.plug("plugged", "e1000", bus="br1", addr="6", romfile="")
    until(lambda: len(cards(vm)) == 3 and len(names(vm.daemon.group_of(first))) == 4, "the plugged device")
    plugged = cards(vm)[-1]
    vm.daemon.claim(f"{first} --name held")
    monitor = vm.daemon.monitor()
    # The daemon owns the group by the first card.
    vm.qemu.unplug("plugged")
    monitor.wait_for("memberRemoved", member=plugged)
    assert plugged in monitor.wait_for("degraded")["cause"]
    claim = vm.daemon.claim_of("held")
    assert claim is not None and claim["state"] == "degraded" and claim["groups"][0]["owned"], claim
    monitor.stop()
    vm.daemon.release("held")
    assert vm.sysfs.settings()[first].driver == "e1000"


@test(PLACES, FURTHER, interface="iommufd")
def the_unbind_of_a_device_that_nobody_uses_does_not_wait_for_the_daemon(vm: Machine) -> None:
    card = alone(vm)
    with unchanged(vm):
        vm.daemon.claim(f"{card} --name held")
        monitor = vm.daemon.monitor()
        unbind = vm.guest.start(f"sh -c 'echo {card} > {PCI}/{card}/driver/unbind'")
        monitor.wait_for("removalRequested", member=card)
        until(lambda: not unbind.is_running(), "the unbind to end")
        monitor.wait_for("memberRetaken", member=card)
        wait_until_whole(vm, "held", [card])
        monitor.stop()
        vm.daemon.release("held")


@test(PLACES, FURTHER)
def a_card_that_somebody_unbinds_is_taken_again_and_owned(vm: Machine) -> None:
    """By a group nothing blocks its unbind. With the last of its devices vfio's group goes, and what the daemon has open
    of it owns nothing any more."""
    card = cards(vm)[1] if vm.kernel.interface == "iommufd" else alone(vm)
    with unchanged(vm):
        vm.daemon.claim(f"{card} --name held")
        monitor = vm.daemon.monitor()
        vm.guest.write(f"{PCI}/{card}/driver/unbind", card)
        monitor.wait_for("memberRetaken", member=card)
        wait_until_whole(vm, "held", [card])
        if vm.kernel.interface == "legacy":
            claim = vm.daemon.claim_of("held")
            assert claim is not None
            number = claim["groups"][0]["kernelGroups"][0]
            assert vm.guest.run(f"exec 9<>/dev/vfio/{number}").status != 0, "the daemon does not have the group open"
        monitor.stop()
        vm.daemon.release("held")


@test(PLACES, FURTHER)
def a_host_driver_that_came_while_the_daemon_was_dead_degrades_the_claim(vm: Machine) -> None:
    first, second = cards(vm)
    with unchanged(vm):
        vm.daemon.claim(f"{first} --name held")
        vm.daemon.process.kill("KILL")
        vm.sysfs.bind(second, "e1000")
        assert vm.sysfs.settings()[second].driver == "e1000"
        vm.daemon.start()
        until_equal(lambda: state(vm, "held"), lambda: "degraded", "the claim's state")
        def told() -> bool:
            claim = vm.daemon.claim_of("held")
            assert claim is not None and not claim["groups"][0]["owned"], claim
            reason = claim["groups"][0].get("reason", "")
            return f"{second}: it is bound to e1000" in reason and "not viable" in reason

        until(told, f"the reason to be told: {vm.daemon.claim_of('held')}")
        # Nobody is thrown out: the claim is whole again when the host driver has gone.
        monitor = vm.daemon.monitor()
        vm.sysfs.unbind(second)
        monitor.wait_for("memberRetaken", member=second)
        wait_until_whole(vm, "held", [first, second])
        claim = vm.daemon.claim_of("held")
        assert claim is not None and claim["unownedMoments"], "the unowned moment is not told"
        monitor.stop()
        vm.daemon.release("held")


@test(PLACES, FURTHER)
def what_others_use_is_not_adopted(vm: Machine) -> None:
    card = vm.sysfs.find(E1000E)
    with unchanged(vm):
        vm.guest.run("modprobe vfio-pci")
        vm.sysfs.bind(card.address, "vfio-pci")
        if vm.kernel.interface == "legacy":
            holder = vm.guest.start(f"vfio-hold group {card.kernel_group} {card.address}")
        else:
            holder = vm.guest.start(f"vfio-hold cdev {vm.guest.check(f'ls {PCI}/{card.address}/vfio-dev').strip()}")
        until(lambda: "holding" in holder.output(), "the device to be held")
        until_equal(lambda: vm.daemon.group_of(card.address)["state"], lambda: "orphaned", "the group's state")
        vm.daemon.refusal(f"adopt {card.address}")
        until_equal(lambda: vm.daemon.group_of(card.address)["state"], lambda: "orphaned", "the group's state")
        assert vm.sysfs.settings()[card.address].driver == "vfio-pci" and holder.is_running()
        holder.kill()
        vm.guest.check(f"vfiogroupctl adopt {card.address} --name mine")
        wait_until_whole(vm, "mine", [card.address])
        vm.daemon.release("mine")
        # It goes back to where it was.
        assert member(vm.daemon.group_of(card.address), card.address)["driver"] == "vfio-pci"
        vm.sysfs.give_back(card.address)
        until_equal(lambda: vm.sysfs.settings()[card.address].driver, lambda: "e1000e", "the card's driver")
