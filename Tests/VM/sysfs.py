"""What the guest's kernel says of its devices, read without the daemon, and what follows from it."""

import dataclasses
import re

from guest import Guest

PCI = "/sys/bus/pci/devices"

# One round trip reads all: the path of each function, its kernel group, driver, and the number of a virtual one.
SCRIPT = """
for device in /sys/bus/pci/devices/*; do
    address=${device##*/}
    path=$(readlink -f $device)
    group=$(readlink $device/iommu_group) driver=$(readlink $device/driver) number=
    if [ -e $device/physfn ]; then
        for link in $device/physfn/virtfn*; do
            [ "$(readlink -f $link)" = "$path" ] && number=${link##*virtfn} above=$(readlink -f $device/physfn)
        done
    else
        above=
    fi
    echo "$address|$path|${group##*/}|${driver##*/}|$number|$above|$(cat $device/vendor):$(cat $device/device)"
done
"""


# What a takeover changes, of each function. `read` is the shell's own: a process for each attribute would take seconds.
SETTINGS = """
for device in /sys/bus/pci/devices/*; do
    driver=$(readlink $device/driver) override= power= d3cold=
    read override <$device/driver_override
    [ -e $device/power/control ] && read power <$device/power/control
    [ -e $device/d3cold_allowed ] && read d3cold <$device/d3cold_allowed
    echo "${device##*/}|${driver##*/}|$override|$power|$d3cold"
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
        functions = {}
        for line in self._guest.check(SCRIPT).splitlines():
            address, path, group, driver, number, physical, ids = line.split("|")
            identity = identity_of(path) if not number else f"{identity_of(physical)}_vf{number}"
            functions[address] = Function(
                address, path, int(group) if group else None, driver or None, identity, ids)
        return functions

    def settings(self) -> dict[str, Settings]:
        """What a takeover changes, of all functions."""
        printed = self._guest.check(SETTINGS)
        return {words[0]: Settings(*words[1:]) for words in (line.split("|") for line in printed.splitlines())}

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
