"""The daemon may end at any time, and serve for long."""

from cases.claims import opened_since
from machine import Machine
from suite import test
from waiting import until_equal

SOME = {"rich": ("intel",)}
FURTHER = {"rich": ("amd", "virtio"), "hotplug": ("intel",)}


@test(SOME, FURTHER)
def after_kill_9_it_serves_the_same_groups(vm: Machine) -> None:
    before = vm.daemon.groups()
    for _ in range(2):
        vm.daemon.process.kill("KILL")
        vm.daemon.start()
        until_equal(vm.daemon.groups, lambda: before, "the groups after and before kill -9")


@test(SOME, FURTHER)
def serving_leaves_one_thread_and_nothing_open(vm: Machine) -> None:
    vm.daemon.groups()
    before = vm.daemon.descriptors()
    for _ in range(5):
        monitor = vm.daemon.monitor()
        vm.daemon.groups()
        vm.daemon.devices()
        monitor.stop()
    assert vm.daemon.threads() == 1
    # The daemon hears of the end of a connection a moment after the client has ended.
    until_equal(lambda: opened_since(vm, before), lambda: [], "what the daemon has opened")
