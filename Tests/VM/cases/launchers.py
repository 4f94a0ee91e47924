"""Other people's launchers, without any right of their own: a QEMU that knows iommufd, and DPDK's testpmd."""

from cases.claims import E1000E, unchanged
from cases.consumers import access_of
from cases.ownership import wait_until_moments_end, wait_until_whole
from guest import Process
from machine import Machine
from suite import test
from sysfs import PCI
from waiting import until

PLACES = {"small": ("intel",)}
QEMU = "qemu-system-x86_64"


def cards(vm: Machine) -> list[str]:
    """The card that is a group of its own, and the two that are one."""
    addresses = [f.address for f in vm.sysfs.functions().values() if f.ids == E1000E]
    # udev may not be done with them.
    until(lambda: all(vm.sysfs.settings()[address].driver == "e1000e" for address in addresses), "the cards' drivers")
    return sorted(addresses)


def launch(vm: Machine, claim: str, command: str) -> Process:
    """Starts a launcher as the owner of a claim that outlives it."""
    return vm.guest.start(f"vfiogroupctl claim {claim} --name used --lifetime manual -- {command}")


def wait_for_qemu(vm: Machine, owner: Process, devices: int) -> int:
    """Waits until QEMU's monitor lists the devices, as uid 65534: its process."""
    until(lambda: vm.guest.run(f"pidof {QEMU}").status == 0 or not owner.is_running(), "QEMU to start")
    assert owner.is_running(), owner.output()
    process = int(vm.guest.check(f"pidof {QEMU}"))
    vm.guest.write("/tmp/monitor", "info pci\n")
    until(lambda: owner.output().count("PCI device 8086:10d3") == devices or not owner.is_running(), "QEMU's devices")
    assert owner.is_running(), owner.output()
    assert vm.guest.check(f"stat -c %u /proc/{process}").strip() == "65534"
    return process


def owned(vm: Machine, name: str) -> bool:
    """Whether the daemon says that the kernel refuses host drivers in all groups of a claim."""
    claim = vm.daemon.claim_of(name)
    return claim is not None and all(group["owned"] for group in claim["groups"])


def prove_that_qemu_realizes(vm: Machine, access: str, taken: list[str], left_out: list[str], moments: int) -> None:
    """QEMU gets the devices that are taken and not left out; after its kill -9 the daemon has the group as before. The
    moments in which a host driver could have come in end when QEMU has bound the devices, which nothing but their `enable`
    tells; one more is from its end until the daemon has seen that, and has an iommufd that QEMU did not have."""
    with unchanged(vm):
        given = [address for address in taken if address not in left_out]
        options = "".join(f" --leave-out {address}" for address in left_out)
        options += " --user 65534" if access == "path" else ""
        owner = launch(vm, f"{taken[0]} --access {access}{options}", f"launch-qemu {' '.join(given)}")
        process = wait_for_qemu(vm, owner, len(given))
        claim = vm.daemon.claim_of("used")
        assert claim is not None and claim["access"] == access and claim["state"] == "claimed", claim
        assert len(claim["unownedMoments"]) == moments, claim
        until(lambda: owned(vm, "used"), "QEMU to be seen with what it has bound")
        wait_until_moments_end(vm, "used")

        vm.guest.check(f"kill -KILL {process}")
        until(lambda: not owner.is_running(), "the owner to end with QEMU")
        # A group that was owned all along looks whole before the daemon has noticed QEMU's end.
        until(lambda: access_of(vm, "used") == "hold", "the devices to be the daemon's again")
        wait_until_whole(vm, "used", taken)
        claim = vm.daemon.claim_of("used")
        assert claim is not None, "the claim is gone"
        # A member that was left out has the group owned all along.
        assert len(claim["unownedMoments"]) == (moments if left_out else moments + 1), claim
        wait_until_moments_end(vm, "used")
        vm.daemon.release("used")


@test(PLACES, interface="iommufd", userspace="systemd")
def qemu_binds_a_fresh_descriptor_by_itself(vm: Machine) -> None:
    alone, *_ = cards(vm)
    prove_that_qemu_realizes(vm, "unbound", [alone], [], moments=1)


@test(PLACES, interface="iommufd", userspace="systemd")
def a_group_of_which_qemu_gets_all_but_one_is_owned_while_qemu_lives(vm: Machine) -> None:
    _, *both = cards(vm)
    prove_that_qemu_realizes(vm, "unbound", both, both[1:], moments=0)


@test(PLACES, userspace="systemd")
def qemu_opens_a_device_by_path(vm: Machine) -> None:
    alone, *_ = cards(vm)
    prove_that_qemu_realizes(vm, "path", [alone], [], moments=1)


@test(PLACES, interface="legacy", userspace="systemd")
@test({}, PLACES, interface="iommufd", userspace="systemd")
def testpmd_moves_packets_and_the_card_gets_its_link_again(vm: Machine) -> None:
    sender, receiver, _ = cards(vm)
    interface = up(vm, receiver, "promisc on")
    received = f"/sys/class/net/{interface}/statistics/rx_packets"
    until(lambda: carrier(vm, interface), "the receiver's link")
    with unchanged(vm):
        before = int(vm.guest.read(received))
        owner = launch(vm, f"{sender} --access path --user 65534", f"launch-testpmd {sender}")
        # More than a neighbour's greetings.
        until(lambda: int(vm.guest.read(received)) > before + 1000 or not owner.is_running(), "the packets to arrive")
        assert owner.is_running(), owner.output()
        process = int(vm.guest.check("pidof dpdk-testpmd"))
        assert vm.guest.check(f"stat -c %u /proc/{process}").strip() == "65534"

        vm.guest.check(f"kill -KILL {process}")
        until(lambda: not owner.is_running(), "the owner to end with testpmd")
        wait_until_whole(vm, "used", [sender])
        vm.daemon.release("used")
    back = up(vm, sender)
    until(lambda: carrier(vm, back), "the card's link")


def up(vm: Machine, address: str, options: str = "") -> str:
    """The network interface of a card, brought up."""
    interface = vm.guest.check(f"ls {PCI}/{address}/net").strip()
    vm.guest.check(f"busybox ip link set {interface} up {options}")
    return interface


def carrier(vm: Machine, interface: str) -> bool:
    return vm.guest.read(f"/sys/class/net/{interface}/carrier").strip() == "1"
