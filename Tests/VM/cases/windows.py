"""The DMA windows of groups are what the kernel says of them."""

from daemon import JSON
from machine import Machine
from suite import test

PLACES = {"rich": ("intel", "amd")}
E1000E = "0x8086:0x10d3"
RESERVED = {"reserved", "msi", "direct", "direct_relaxable"}


@test(PLACES)
def the_windows_of_every_group_have_what_its_kernel_group_reserves(vm: Machine) -> None:
    printed = vm.guest.check("grep . /sys/kernel/iommu_groups/*/reserved_regions /dev/null")
    regions: dict[int, list[tuple[str, int, int]]] = {}
    for line in printed.splitlines():
        path, text = line.split(":", 1)
        start, last, kind = text.split()
        regions.setdefault(int(path.split("/")[4]), []).append(
            (kind.replace("-", "_"), int(start, 16), int(last, 16)))
    assert regions, "no kernel group reserves anything: nothing was tested"
    for number, wanted in regions.items():
        windows = vm.daemon.call(f"show {number}")["group"]["windows"]
        assert sorted(ranges(windows, RESERVED)) == sorted(wanted), f"kernel group {number}: {windows}"


@test(PLACES, interface="iommufd")
def what_is_usable_at_boot_is_what_the_kernel_says_once_a_group_is_attached(vm: Machine) -> None:
    address = vm.sysfs.find(E1000E).address
    before = vm.daemon.group_of(address)["windows"]
    claim = vm.daemon.claim(f"{address} --name windows")
    after = vm.daemon.group_of(address)["windows"]
    vm.daemon.release("windows")
    assert {window["time"] for window in after if window["kind"] == "usable"} == {"attached"}, after
    assert ranges(before, {"usable"}) == ranges(after, {"usable"}), f"{before} before, {after} in {claim}"


def ranges(windows: list[JSON], kinds: set[str]) -> list[tuple[str, int, int]]:
    """The windows of these kinds, in their order."""
    return [(window["kind"], int(window["start"], 16), int(window["last"], 16))
            for window in windows if window["kind"] in kinds]
