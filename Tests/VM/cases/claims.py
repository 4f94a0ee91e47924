"""Groups that are claimed, and what the host has when they are released: what it had before."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from daemon import names
from machine import Machine
from suite import test
from sysfs import Settings
from waiting import until_equal

E1000E, E1000 = "0x8086:0x10d3", "0x8086:0x100e"
BRIDGE, DOWNSTREAM_PORT = "0x1b36:0x000e", "0x104c:0x8233"

RICH, FURTHER = {"rich": ("intel",)}, {"rich": ("amd",)}


@contextmanager
def unchanged(vm: Machine) -> Iterator[dict[str, Settings]]:
    """What is done inside leaves no driver, override, power setting, node, descriptor or record different."""
    vm.daemon.groups()
    before, open_before = vm.sysfs.settings(), vm.daemon.descriptors()
    yield before
    prove_as_before(vm, before)
    assert vm.daemon.claims() == []
    assert vm.sysfs.vfio_nodes() == []
    assert vm.guest.check("ls /run/vfiogroupd/claims").split() == []
    # The daemon hears of the end of a connection, and of a worker, a moment later.
    until_equal(lambda: opened_since(vm, open_before), lambda: [], "what the daemon has opened")


def opened_since(vm: Machine, before: list[str]) -> list[str]:
    """What the daemon has open and had not then. What it had may have been a connection that was ending."""
    return sorted((Counter(vm.daemon.descriptors()) - Counter(before)).elements())


def prove_as_before(vm: Machine, before: dict[str, Settings]) -> None:
    after = vm.sysfs.settings()
    assert after == before, "not as before: " + ", ".join(
        f"{address} {after.get(address)} instead of {before[address]}"
        for address in before if after.get(address) != before[address])


def prove_claimed(vm: Machine, claim: dict, before: dict[str, Settings]) -> None:  # type: ignore[type-arg]
    """The members of a claim are taken, and nothing else is touched."""
    assert claim["state"] == "claimed" and claim["ranges"], claim
    now, members = vm.sysfs.settings(), set()
    for group in claim["groups"]:
        assert group["owned"], group
        members |= set(names(group))
        for member in group["members"]:
            address = member["address"]["name"]
            if "vfioDriver" in member:
                wanted = ("vfio-pci", "vfio-pci")
                assert (now[address].driver, now[address].driver_override) == wanted, now[address]
            else:
                assert now[address].driver in ("", "pcieport", "pci-stub"), now[address]
    assert {address: now[address] for address in now if address not in members} == {
        address: before[address] for address in before if address not in members}


def claim_and_release(vm: Machine, address: str, members: int, times: int = 1) -> None:
    with unchanged(vm) as before:
        for _ in range(times):
            claim = vm.daemon.claim(f"{address} --name taken")
            assert len(names(claim["groups"][0])) == members, claim
            prove_claimed(vm, claim, before)
            vm.daemon.release("taken")
            prove_as_before(vm, before)


def claim_and_release_again_and_again(vm: Machine, address: str, members: int) -> None:
    claim_and_release(vm, address, members, vm.times(10, 100))


@test(RICH, FURTHER, interface="legacy")
def a_claim_loads_the_modules_that_it_needs(vm: Machine) -> None:
    modules = vm.guest.check("lsmod")
    if "vfio_pci" in modules:
        vm.guest.check("modprobe -r vfio_pci")
        vm.guest.run("modprobe -r vfio_iommu_type1 vfio")
    assert "vfio" not in vm.guest.check("cat /proc/devices")
    claim_and_release(vm, alone(vm), 1)
    assert "vfio_pci" in vm.guest.check("lsmod"), "it is built in: nothing was tested"


def alone(vm: Machine) -> str:
    """A card that is a group of its own, behind a root port."""
    ports = {function.address for function in vm.sysfs.functions().values() if function.ids == "0x1b36:0x000c"}
    for function in vm.sysfs.functions().values():
        if function.ids == E1000E and function.parent in ports and len(names(vm.daemon.group_of(function.address))) == 1:
            return function.address
    raise AssertionError("no card is a group of its own")


@test(RICH, FURTHER)
def a_single_function_is_claimed_and_released(vm: Machine) -> None:
    claim_and_release_again_and_again(vm, alone(vm), 1)


@test(RICH, FURTHER)
def functions_of_one_slot_are_claimed_and_released_together(vm: Machine) -> None:
    # Without ACS, which functions of an endpoint have none of here.
    slot = next(f.address for f in vm.sysfs.functions().values() if f.ids == E1000E and multifunction(vm, f.address))
    claim_and_release_again_and_again(vm, slot, 2)


def multifunction(vm: Machine, address: str) -> bool:
    return address[:-1] + "1" in names(vm.daemon.group_of(address))


@test(RICH, FURTHER)
def a_function_behind_a_switch_is_claimed_and_released(vm: Machine) -> None:
    ports = [f.address for f in vm.sysfs.functions().values() if f.ids == DOWNSTREAM_PORT]
    card = next(f for f in vm.sysfs.functions().values() if f.ids == E1000E and f.parent in ports)
    # With the port, which has no ACS.
    claim_and_release_again_and_again(vm, card.address, 2)


@test(RICH, FURTHER)
def a_conventional_bus_is_claimed_and_released_with_its_bridge(vm: Machine) -> None:
    bridge = vm.sysfs.find(BRIDGE).address
    claim_and_release_again_and_again(vm, vm.sysfs.find(E1000, behind=bridge).address, 3)


@test(RICH, FURTHER, interface="iommufd")
@test({}, RICH, interface="legacy")
def two_groups_share_the_address_space_of_a_claim(vm: Machine) -> None:
    bridge = vm.sysfs.find(BRIDGE).address
    with unchanged(vm) as before:
        vm.daemon.claim(f"{alone(vm)} --name taken")
        vm.guest.check(f"vfiogroupctl attach taken {vm.sysfs.find(E1000, behind=bridge).address}")
        claim = vm.daemon.claim_of("taken")
        assert claim is not None and len(claim["groups"]) == 2, claim
        prove_claimed(vm, claim, before)
        vm.guest.check(f"vfiogroupctl detach taken {claim['groups'][1]['id']}")
        claim = vm.daemon.claim_of("taken")
        assert claim is not None and len(claim["groups"]) == 1, claim
        prove_claimed(vm, claim, before)
        vm.daemon.release("taken")


@test({"small": ("intel",)}, {"small": ("amd",), "rich": ("intel",)})
def claims_and_releases_leave_nothing_behind(vm: Machine) -> None:
    cards = [f.address for f in vm.sysfs.functions().values() if f.ids == E1000E]
    vm.daemon.claim(f"{cards[0]} --name first")
    vm.daemon.release("first")
    members = len(names(vm.daemon.group_of(cards[0])))
    for _ in range(vm.times(10, 30)):
        claim_and_release(vm, cards[0], members)
    assert vm.daemon.threads() == 1
