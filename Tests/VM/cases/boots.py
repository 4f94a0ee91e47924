"""What the daemon knows of the last boot, across boots of machines that are not the same any more."""

import base64

from daemon import JSON
from machine import Machine
from suite import test
from waiting import until

STATE = "/var/lib/vfiogroupd"
E1000E, VIRTIO = "8086:10d3", "1af4:1041"
# The places whose hardware is different in the two topologies.
PORTS = {number: f"pci0000-00_{number + 3:02x}.0" for number in range(1, 7)}


@test({"shrunk": ("intel",)}, {"shrunk": ("amd",)}, interface="iommufd")
def a_machine_that_grew_and_shrank_between_boots_is_told_with_the_causes(vm: Machine) -> None:
    state = end_boot(vm)
    with vm.booted_as("grown") as grown:
        begin_boot(grown, state)
        changes = grown.daemon.call("status")["lastBoot"]["changes"]
        split, joined = change(changes, "split", PORTS[1]), change(changes, "joined", PORTS[2])
        assert split["groups"] == [PORTS[1], f"{PORTS[1]}_00.0"], split
        assert "isolates: its ACS has SV RR CR UF on" in split["cause"], split
        assert joined["groups"] == [PORTS[2]] and "has no ACS (SV RR CR UF missing)" in joined["cause"], joined
        for group in [f"{PORTS[3]}_00.0", f"{PORTS[3]}_00.0_00.0"]:
            change(changes, "appeared", group)
        change(changes, "went", f"{PORTS[4]}_00.0")
        # Three buses more lie before it.
        change(changes, "renumbered", f"{PORTS[6]}_00.0")
        another = change(changes, "replaced", f"{PORTS[5]}_00.0")
        assert E1000E in another["sentence"] and VIRTIO in another["sentence"], another
        told = {word for entry in changes for word in entry["groups"]}
        assert told <= {group["id"] for group in grown.daemon.groups()} | {f"{PORTS[4]}_00.0"}, told
        for entry in changes:
            until(lambda: f"since the last boot: {entry['sentence']}" in grown.daemon.log(), str(entry))  # noqa: B023
        is_refused_until_it_is_forced(grown, another)
        state = end_boot(grown)

    with vm.booted_as("shrunk") as shrunk:
        begin_boot(shrunk, state)
        changes = shrunk.daemon.call("status")["lastBoot"]["changes"]
        change(changes, "joined", PORTS[1])
        change(changes, "split", PORTS[2])
        change(changes, "went", f"{PORTS[3]}_00.0_00.0")
        change(changes, "appeared", f"{PORTS[4]}_00.0")
        change(changes, "replaced", f"{PORTS[5]}_00.0")
        change(changes, "renumbered", f"{PORTS[6]}_00.0")
        state = end_boot(shrunk)

    with vm.booted_as("shrunk") as same:
        begin_boot(same, state)
        assert same.daemon.call("status")["lastBoot"]["changes"] == []
        same.daemon.claim(f"{PORTS[5]}_00.0 --name same")
        same.daemon.release("same")


def is_refused_until_it_is_forced(vm: Machine, change: JSON) -> None:
    address, group = change["device"]["name"], change["groups"][0]
    assert any(change["sentence"] in sentence for sentence in vm.daemon.group_of(address)["sinceLastBoot"])
    refusal = vm.daemon.refusal(f"claim {group}")
    assert E1000E in refusal and VIRTIO in refusal and address in refusal, refusal
    vm.daemon.claim(f"{group} --force {address} --name forced")
    vm.daemon.release("forced")
    vm.daemon.process.kill("KILL")
    vm.daemon.start()
    vm.daemon.claim(f"{group} --name accepted")
    vm.daemon.release("accepted")


def change(changes: list[JSON], kind: str, group: str) -> JSON:
    """The one change of a kind that is about a group first of all."""
    found = [change for change in changes if change["kind"] == kind and change["groups"][0] == group]
    assert found, f"no {kind} of {group} among {changes}"
    return found[0]


def end_boot(vm: Machine) -> dict[str, bytes]:
    """Ends the daemon as a shutdown does: what the state directory has then."""
    vm.daemon.process.kill("TERM")
    printed = vm.guest.check(f"cd {STATE} && for file in *; do echo $file $(base64 $file); done")
    files = [line.split() for line in printed.splitlines()]
    return {words[0]: base64.b64decode("".join(words[1:])) for words in files}


def begin_boot(vm: Machine, state: dict[str, bytes]) -> None:
    """Starts the daemon with the state directory of an earlier boot, in the place of the one it began itself."""
    vm.daemon.process.kill("TERM")
    vm.guest.check(f"rm -rf {STATE} && mkdir -p {STATE}")
    for name, content in state.items():
        vm.guest.check(f"echo {base64.b64encode(content).decode()} | base64 -d > {STATE}/{name}")
    vm.daemon.start()
