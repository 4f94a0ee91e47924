"""The DMA windows of groups are what the kernel says of them."""

from daemon import JSON
from machine import Machine
from suite import test
from waiting import until_equal

PLACES = {"rich": ("intel", "amd")}
E1000E = "0x8086:0x10d3"
RESERVED = {"reserved", "msi", "direct", "direct_relaxable"}

# A kind, its first and its last address.
Range = tuple[str, int, int]


@test(PLACES)
def the_windows_in_the_tree_of_groups_have_what_the_kernel_groups_reserve(vm: Machine) -> None:
    assert reserved_by_kernel(vm), "no kernel group reserves anything: nothing was tested"
    until_equal(lambda: reserved_in_tree(vm), lambda: reserved_by_kernel(vm), "dma_windows and reserved_regions")


@test(PLACES, interface="iommufd")
def what_is_usable_at_boot_is_what_the_kernel_says_once_a_group_is_attached(vm: Machine) -> None:
    address = vm.sysfs.find(E1000E).address
    before = vm.daemon.group_of(address)["windows"]
    claim = vm.daemon.claim(f"{address} --name windows")
    after = vm.daemon.group_of(address)["windows"]
    vm.daemon.release("windows")
    assert {window["time"] for window in after if window["kind"] == "usable"} == {"attached"}, after
    assert usable(before) == usable(after), f"{before} before, {after} in {claim}"


def usable(windows: list[JSON]) -> list[tuple[int, int]]:
    return [(int(window["start"], 16), int(window["last"], 16)) for window in windows if window["kind"] == "usable"]


def reserved_by_kernel(vm: Machine) -> dict[int, list[Range]]:
    """`reserved_regions` of every kernel group that has some: START LAST KIND."""
    regions: dict[int, list[Range]] = {}
    for path, words in lines(vm, "/sys/kernel/iommu_groups/*/reserved_regions"):
        kind = words[2].replace("-", "_")
        regions.setdefault(int(path.split("/")[4]), []).append((kind, int(words[0], 16), int(words[1], 16)))
    return {number: sorted(ranges) for number, ranges in regions.items()}


def reserved_in_tree(vm: Machine) -> dict[int, list[Range]]:
    """What the groups' folders say of the same, by the number of their kernel group."""
    tree = "/run/vfiogroupd/groups"
    numbers = {path.split("/")[-2]: int(words[0]) for path, words in lines(vm, f"{tree}/*/kernel_groups")}
    windows: dict[int, list[Range]] = {}
    for path, words in lines(vm, f"{tree}/*/dma_windows"):
        if words[2] in RESERVED:
            number = numbers[path.split("/")[-2]]
            windows.setdefault(number, []).append((words[2], int(words[0], 16), int(words[1], 16)))
    return {number: sorted(ranges) for number, ranges in windows.items()}


def lines(vm: Machine, files: str) -> list[tuple[str, list[str]]]:
    """The lines of files in the guest, each with its file and as words."""
    printed = vm.guest.check(f"grep . {files} /dev/null")
    return [(path, text.split()) for path, text in (line.split(":", 1) for line in printed.splitlines())]
