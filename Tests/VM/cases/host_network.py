"""What the host's network goes through, made with the host's own tools on a whole Debian: each refuses the card, and the
card can be had once it is gone."""

from collections.abc import Iterator
from contextlib import contextmanager

from cases.host_storage import prove_free, prove_used
from machine import Machine
from suite import test
from waiting import until, until_equal

PLACES = {"host": ("intel",)}


@contextmanager
def card(vm: Machine, address: str = "0000:01:00.0") -> Iterator[tuple[str, str]]:
    """A card that nobody uses, with its interface; afterwards it can be had."""
    assert vm.sysfs.settings()[address].driver == "e1000e"
    # udev gives it another name after the driver has come.
    vm.guest.check("udevadm settle")
    yield address, interface(vm, address)
    prove_free(vm, address)
    until(lambda: vm.guest.run(f"ls /sys/bus/pci/devices/{address}/net/*").status == 0, "the interface to be back")
    vm.guest.check("udevadm settle")


def interface(vm: Machine, address: str) -> str:
    return vm.guest.check(f"ls /sys/bus/pci/devices/{address}/net").strip()


@test(PLACES, interface="legacy", userspace="systemd")
def a_card_in_a_bond_is_refused(vm: Machine) -> None:
    with card(vm) as (address, name):
        vm.guest.check(f"ip link add bond7 type bond && ip link set {name} master bond7")
        prove_used(vm, address, f"its interface {name} is a port of bond7")
        vm.guest.check("ip link delete bond7")


@test(PLACES, interface="legacy", userspace="systemd")
def a_card_in_a_bridge_is_refused(vm: Machine) -> None:
    with card(vm) as (address, name):
        vm.guest.check(f"ip link add bridge7 type bridge && ip link set {name} master bridge7")
        prove_used(vm, address, f"its interface {name} is a port of bridge7")
        vm.guest.check("ip link delete bridge7")


@test(PLACES, interface="legacy", userspace="systemd")
def a_card_with_a_vlan_is_refused(vm: Machine) -> None:
    with card(vm) as (address, name):
        vm.guest.check(f"ip link add link {name} name office type vlan id 7")
        prove_used(vm, address, f"office stands on its interface {name}")
        vm.guest.check("ip link delete office")


@test(PLACES, interface="legacy", userspace="systemd")
def a_card_in_a_vrf_is_refused(vm: Machine) -> None:
    with card(vm) as (address, name):
        vm.guest.check(f"ip link add red type vrf table 7 && ip link set red up && ip link set {name} up master red")
        prove_used(vm, address, f"its interface {name} is a port of red")
        # A route in the table of the VRF counts as well: the card is taken out, and its route is left.
        vm.guest.check(f"ip link set {name} nomaster && ip route add 192.0.2.0/24 dev {name} table 7")
        prove_used(vm, address, f"the route to 192.0.2.0/24 of table 7 leads through its interface {name}")
        vm.guest.check(f"ip link delete red && ip route flush table 7; ip link set {name} down")


@test(PLACES, interface="legacy", userspace="systemd")
def a_card_in_another_network_namespace_is_refused(vm: Machine) -> None:
    with card(vm) as (address, name):
        vm.guest.check(f"ip netns add pod && ip link set {name} netns pod")
        assert interface(vm, address) == ""
        prove_used(vm, address, "its network interface is in another network namespace")
        # It comes back when the namespace is gone, a moment after the command.
        vm.guest.check("ip netns delete pod")
        until(lambda: interface(vm, address) != "", "the interface to be the host's again")


@test(PLACES, interface="legacy", userspace="systemd")
def a_card_with_no_more_than_a_link_local_address_is_taken_with_a_warning(vm: Machine) -> None:
    with card(vm) as (address, name):
        vm.guest.check(f"ip link set {name} up")
        until(lambda: "fe80::" in vm.guest.check(f"ip -6 address show {name}"), "the address of the link")
        warning = f"its interface {name} is up, with no more than a link-local address"
        until_equal(lambda: uses(vm, address), lambda: [("linkUp", "warns", warning)], "the warning")


@test(PLACES, interface="legacy", userspace="systemd")
def a_card_with_an_address_is_refused_as_long_as_it_is_up(vm: Machine) -> None:
    with card(vm) as (address, name):
        vm.guest.check(f"ip address add 192.0.2.1/24 dev {name} && ip link set {name} up")
        prove_used(vm, address, f"its interface {name} is up and has the address 192.0.2.1")
        vm.guest.check("ip route add 198.51.100.0/24 via 192.0.2.2")
        prove_used(vm, address, f"the route to 198.51.100.0/24 leads through its interface {name}")
        vm.guest.check(f"ip link set {name} down && ip address flush dev {name}")


@test(PLACES, interface="legacy", userspace="systemd")
def wireguard_refuses_the_card_that_its_packets_go_through_and_no_other(vm: Machine) -> None:
    # To ask a family of generic netlink by its name would load this.
    vm.guest.check("modprobe -r wireguard")
    with card(vm) as (address, name), card(vm, "0000:02:00.0") as (other, _):
        vm.daemon.group_of(address)
        prove_free(vm, other)
        assert vm.guest.run("test -e /sys/module/wireguard").status != 0, "the daemon has loaded a module"
        name = interface(vm, address)
        vm.guest.check(
            f"ip address add 192.0.2.1/24 dev {name} && ip link set {name} up && "
            "ip link add wg7 type wireguard && wg genkey >/tmp/key && "
            "wg set wg7 private-key /tmp/key peer $(wg genkey | wg pubkey) endpoint 192.0.2.2:51820 allowed-ips 0.0.0.0/0 && "
            "ip address add 10.7.0.1/24 dev wg7 && ip link set wg7 up && ip route add default dev wg7")
        prove_used(vm, address, f"its interface {name} is up and has the address 192.0.2.1")
        prove_free(vm, other)
        vm.guest.check(f"ip link delete wg7 && ip link set {name} down && ip address flush dev {name}")


def uses(vm: Machine, address: str) -> list[tuple[str, str, str]]:
    """What the daemon says that the host does with a group: kinds, severities, sentences."""
    return [(use["kind"], use["severity"], use["detail"]) for use in vm.daemon.group_of(address).get("uses", [])]
