"""A host driver that does not let go of its device. Its remove function cannot refuse, but may wait: a disk's does for
what has been asked of a device that does not answer."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from cases.claims import E1000E, unchanged
from cases.hotplug import newcomer
from cases.ownership import state
from daemon import JSON, last_reply
from guest import Process
from machine import Machine
from suite import test
from sysfs import PCI
from waiting import until, until_equal

PLACES, FURTHER = {"hotplug": ("intel",)}, {"hotplug": ("amd",)}


def blocked(vm: Machine, name: str) -> JSON | None:
    """What a claim waits for in the kernel, once that is shown as blocked."""
    claim = vm.daemon.claim_of(name)
    operation: JSON | None = claim["groups"][0].get("operation") if claim else None
    return operation if operation and operation["blocked"] and operation["seconds"] > 2 else None


def wait_until_blocked(vm: Machine, name: str, when: str = "") -> JSON:
    operation = until(lambda: blocked(vm, name), f"the unbind to be shown as blocked {when}")
    assert operation is not None and "vfiogroupd-call" in vm.guest.read(f"/proc/{operation['pid']}/comm"), operation
    return operation


@dataclasses.dataclass
class StalledDisk:
    """A disk, and who waits for a read of it and can neither go on nor be killed."""

    vm: Machine
    address: str
    reader: Process

    def answer(self) -> None:
        self.vm.qemu.stall_disk("disk", False)


@contextmanager
def stalled_disk(vm: Machine) -> Iterator[StalledDisk]:
    vm.guest.run("modprobe virtio_blk")
    before = set(vm.sysfs.functions())
    vm.qemu.plug_disk("disk", bus="rp8")
    address = newcomer(vm, before)
    node = "/dev/" + str(until(
        lambda: vm.guest.run(f"cd {PCI}/{address} && echo virtio*/block/*").output.split("/")[-1].strip(" *\n"),
        "the disk's name"))
    until(lambda: vm.guest.run(f"test -b {node}").status == 0, node)
    vm.qemu.stall_disk("disk", True)
    reader = vm.guest.start(f"dd if={node} of=/dev/null bs=4096 iflag=direct")
    until(lambda: vm.guest.read(f"/proc/{reader.pid}/stat").split()[2] == "D", "the read to wait")
    with unchanged(vm):
        yield StalledDisk(vm, address, reader)
    until(lambda: not reader.is_running(), "the read to end")
    vm.qemu.unplug_disk("disk")
    until_equal(vm.daemon.members, vm.sysfs.kernel_groups, "the groups and the kernel's, without the disk")


def start_claim(vm: Machine, disk: StalledDisk) -> Process:
    """Starts a claim, whose unbind then waits."""
    refused = vm.daemon.refusal(f"claim {disk.address} --name disk")
    assert f"process {disk.reader.pid} (dd)" in refused and disk.address in refused, refused
    client = vm.guest.start(f"vfiogroupctl --json claim {disk.address} --force {disk.address} --name disk")
    operation = wait_until_blocked(vm, "disk")
    assert operation["action"] == "unbind" and operation["member"]["name"] == disk.address, operation
    return client


@test(PLACES, FURTHER)
def a_claim_goes_on_when_a_host_driver_lets_go_at_last(vm: Machine) -> None:
    with stalled_disk(vm) as disk:
        client = start_claim(vm, disk)
        disk.answer()
        until(lambda: not client.is_running(), "the claim to be made")
        assert last_reply(client.output())["claim"]["state"] == "claimed", client.output()
        assert vm.sysfs.settings()[disk.address].driver == "vfio-pci"
        vm.daemon.release("disk")


@test(PLACES, FURTHER)
def a_claim_that_is_given_up_while_a_host_driver_does_not_let_go_is_undone_once_it_does(vm: Machine) -> None:
    # Before the unbind: on 6.1 a look at the disk's attributes would wait for its lock.
    other = vm.sysfs.find(E1000E).address
    with stalled_disk(vm) as disk:
        client = start_claim(vm, disk)
        worker = wait_until_blocked(vm, "disk")["pid"]
        released = vm.guest.run("vfiogroupctl --json release disk").output
        assert "releasing" in released, released
        until(lambda: not client.is_running(), "the claim to end")
        assert "the claim was released before it was made" in client.output(), client.output()
        assert state(vm, "disk") == "releasing"
        # Nobody else waits.
        vm.daemon.claim(f"{other} --name other")
        vm.daemon.release("other")

        vm.daemon.process.kill("KILL")
        vm.daemon.start()
        assert wait_until_blocked(vm, "disk", "after a restart")["pid"] == worker
        disk.answer()
        until(lambda: vm.daemon.claims() == [], "the end of the claim")
        assert blocked(vm, "disk") is None
        until_equal(lambda: vm.sysfs.settings()[disk.address].driver, lambda: "virtio-pci", "the disk's driver")
