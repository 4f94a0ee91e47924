"""kill -9 at moments that nobody chose, while groups are claimed and released."""

import random
import time

from cases.claims import E1000, E1000E, unchanged
from machine import Machine
from suite import test
from waiting import until

LOAD = """
while [ -e /tmp/load ]; do
    vfiogroupctl claim %s --name load%d
    vfiogroupctl release load%d
done
"""


def settled(vm: Machine) -> bool:
    """Nothing is being done: each claim is held, and whole."""
    claims = vm.daemon.claims()
    if not all(claim["state"] == "claimed" and all(group["owned"] for group in claim["groups"]) for claim in claims):
        return False
    return all("operation" not in group for claim in claims for group in claim["groups"])


@test({"hotplug": ("intel",)}, {"rich": ("intel",), "hotplug": ("amd",)})
def after_kill_9_under_load_every_claim_is_there_or_undone(vm: Machine) -> None:
    cards = [vm.sysfs.find(E1000E).address, vm.sysfs.find(E1000, behind=vm.sysfs.find("0x1b36:0x000e").address).address]
    chance = random.Random()
    with unchanged(vm) as before:
        for _ in range(vm.times(5, 50)):
            vm.guest.check("touch /tmp/load")
            for number, card in enumerate(cards):
                vm.guest.check("cat > /tmp/load%d.sh <<'END'\n%s\nEND" % (number, LOAD % (card, number, number)))
            loads = [vm.guest.start(f"sh /tmp/load{number}.sh") for number in range(len(cards))]
            # The moment is what is tested; a claim takes about a second.
            time.sleep(chance.uniform(0, 3))
            vm.daemon.process.kill("KILL")
            vm.guest.check("rm /tmp/load")
            for load in loads:
                until(lambda load=load: not load.is_running(), "the load to end")  # type: ignore[misc]
            vm.daemon.start()
            until(lambda: settled(vm), f"all claims to be there or undone: {vm.daemon.claims()}")
            now, claims = vm.sysfs.settings(), vm.daemon.claims()
            taken = {member["address"]["name"] for claim in claims for group in claim["groups"]
                     for member in group["members"]}
            assert {a: now[a] for a in now if a not in taken} == {a: before[a] for a in before if a not in taken}
            for claim in claims:
                vm.daemon.release(claim["id"])
            assert vm.sysfs.settings() == before
