"""What the guest's kernel says of its devices, read without the daemon, and what follows from it."""

import collections
import dataclasses
import re

from guest import Guest

PCI = "/sys/bus/pci/devices"

# One round trip reads all, and with the shell's own means: a process for each attribute would take seconds. A line is a
# kind, a function's address, and what it has: its driver, or what else a takeover changes of it ...
DRIVERS = """
for link in /sys/bus/pci/drivers/*/*:*:*; do
    driver=${link%/*}
    echo "driver|${link##*/}|${driver##*/}"
done
"""
SETTINGS = DRIVERS + """
for device in /sys/bus/pci/devices/*; do
    override= power= d3cold=
    read -r override <$device/driver_override
    [ -e $device/power/control ] && read -r power <$device/power/control
    [ -e $device/d3cold_allowed ] && read -r d3cold <$device/d3cold_allowed
    echo "settings|${device##*/}|$override|$power|$d3cold"
done 2>/dev/null
"""

# ... or its path, its kernel group, IDs, and the physical function that it is the N-th virtual one of.
FUNCTIONS = DRIVERS + """
ls -l /sys/bus/pci/devices | while read -r line; do
    case $line in *" -> "*) address=${line% -> *}; echo "path|${address##* }|${line##* -> ../../../}" ;; esac
done
for link in /sys/kernel/iommu_groups/*/devices/*:*; do
    group=${link#/sys/kernel/iommu_groups/}
    echo "group|${link##*/}|${group%%/*}"
done
for device in /sys/bus/pci/devices/*; do
    read -r vendor <$device/vendor; read -r ids <$device/device
    echo "ids|${device##*/}|$vendor:$ids"
done 2>/dev/null
for link in /sys/bus/pci/devices/*/virtfn*; do
    [ -e $link ] || continue
    target=$(readlink $link) physical=${link%/*}
    echo "virtual|${target##*/}|${physical##*/}|${link##*virtfn}"
done
"""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a takeover changes of a function, and has to give back."""

    driver: str
    driver_override: str
    power_control: str
    d3cold_allowed: str


@dataclasses.dataclass
class Function:
    """A PCI function as sysfs shows it."""

    address: str
    path: str
    kernel_group: int | None
    driver: str | None
    identity: str
    ids: str

    @property
    def parent(self) -> str:
        return self.path.split("/")[-2]


class Sysfs:
    """The guest's /sys."""

    def __init__(self, guest: Guest):
        self._guest = guest

    def functions(self) -> dict[str, Function]:
        """All PCI functions, by address."""
        read = self._read(FUNCTIONS)
        paths = {address: f"/sys/devices/{words[0].removeprefix('devices/')}" for address, words in read["path"].items()}
        functions = {}
        for address, path in paths.items():
            if virtual := read["virtual"].get(address):
                identity = f"{identity_of(paths[virtual[0]])}_vf{virtual[1]}"
            else:
                identity = identity_of(path)
            group, driver = read["group"].get(address), read["driver"].get(address)
            # One that left in between has no more than a path.
            ids = read["ids"].get(address, [""])[0]
            functions[address] = Function(
                address, path, int(group[0]) if group else None, driver[0] if driver else None, identity, ids)
        return functions

    def settings(self) -> dict[str, Settings]:
        """What a takeover changes, of all functions."""
        read = self._read(SETTINGS)
        return {address: Settings(read["driver"].get(address, [""])[0], *words)
                for address, words in read["settings"].items()}

    def _read(self, script: str) -> dict[str, dict[str, list[str]]]:
        """What a script prints: by kind and address."""
        read: dict[str, dict[str, list[str]]] = collections.defaultdict(dict)
        for line in self._guest.check(script).splitlines():
            kind, address, *words = line.split("|")
            read[kind][address] = words
        return read

    def vfio_nodes(self) -> list[str]:
        """The nodes of groups and devices."""
        return self._guest.check("ls /dev/vfio /dev/vfio/devices 2>/dev/null | grep -E '^(vfio)?[0-9]' || true").split()

    def find(self, ids: str, behind: str | None = None) -> Function:
        """The first function with these IDs (`0x8086:0x10d3`)."""
        for function in self.functions().values():
            if function.ids == ids and (behind is None or function.parent == behind):
                return function
        raise AssertionError(f"the machine has no {ids}")

    def kernel_groups(self) -> dict[int, list[str]]:
        """The devices of each kernel group, from /sys/kernel/iommu_groups."""
        printed = self._guest.check(
            "for link in /sys/kernel/iommu_groups/*/devices/*; do [ -e $link ] && echo $link; done; true")
        groups: dict[int, list[str]] = {}
        for line in printed.splitlines():
            words = line.split("/")
            groups.setdefault(int(words[4]), []).append(words[6])
        return {number: sorted(devices) for number, devices in groups.items()}

    def bind(self, address: str, driver: str) -> None:
        """Moves a device to a driver, as an administrator does by hand."""
        self._guest.write(f"{PCI}/{address}/driver_override", driver + "\n")
        self.unbind(address)
        self._guest.write("/sys/bus/pci/drivers_probe", address)

    def give_back(self, address: str) -> None:
        """Undoes `bind`."""
        self._guest.write(f"{PCI}/{address}/driver_override", "\n")
        self.unbind(address)
        self._guest.write("/sys/bus/pci/drivers_probe", address)

    def unbind(self, address: str) -> None:
        if self._guest.run(f"test -e {PCI}/{address}/driver").status == 0:
            self._guest.write(f"{PCI}/{address}/driver/unbind", address)


def identity_of(path: str) -> str:
    """The identity that the API promises for a group whose first member has this path below /sys/devices."""
    bridge, *hops = path.removeprefix("/sys/devices/").split("/")
    return f"{bridge.replace(':', '-')}_" + "_".join(re.sub(r"^[0-9a-f]+:[0-9a-f]+:", "", hop) for hop in hops)
