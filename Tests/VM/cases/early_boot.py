"""The hook of initramfs-tools: a driver in the initramfs does not get what is reserved. Debian's own initramfs is built in
the guest, as by an administrator, and a machine is booted with it from a copy of the guest's disk."""

import re
import subprocess
import tempfile
from pathlib import Path

from cases.claims import E1000E
from cases.ownership import state
from cases.package import configure, from_package, journal
from machine import Machine
from suite import test
from waiting import until_equal

# What the disk and its file system need, and the driver of all three cards.
MODULES = "virtio_pci\nvirtio_blk\next4\ncrc32c_generic\ne1000e\n"
TOOLS = "/etc/initramfs-tools"


@test({}, {"small": ("intel",)}, interface="legacy", userspace="systemd")
def a_driver_in_the_initramfs_does_not_get_a_reserved_device(vm: Machine) -> None:
    from_package(vm)
    card = vm.sysfs.find(E1000E)
    configure(vm, f"[Reservation card]\nGroup={card.identity}\n")
    vm.guest.write(f"{TOOLS}/conf.d/vm-tests", "MODULES=list\nCOMPRESS=gzip\n")
    vm.guest.write(f"{TOOLS}/modules", MODULES)
    # Of the kernel's package only the modules are on the disk.
    vm.guest.check("echo CONFIG_RD_GZIP=y > /boot/config-$(uname -r)")
    vm.guest.check("update-initramfs -c -k $(uname -r)", 900)
    with tempfile.TemporaryDirectory(prefix="vfiogroupd-vm-") as scratch:
        disk, initrd = vm.copy_of_disk(), Path(scratch) / "initrd"
        extract(disk, f"/boot/initrd.img-{vm.guest.release}", initrd)
        with vm.booted_from(disk, initrd) as other:
            until_equal(lambda: state(other, "card"), lambda: "claimed", "the state of the reservation")
            [begin] = times(other, r"systemd\[1\]: systemd \d+.* running in system mode")
            probed = times(other, r"e1000e (?!%s)\S+ eth\d" % card.address)
            assert probed and max(probed) < begin, f"the driver came at {probed} and systemd at {begin}"
            assert times(other, rf"e1000e {card.address} eth\d") == []
            assert not [line for line in journal(other, "--unit vfiogroupd-reserve.service") if "has it already" in line]
    vm.guest.check(f"rm {TOOLS}/conf.d/vm-tests")
    configure(vm, "")


def extract(disk: Path, file: str, to: Path) -> None:
    """Copies a file from a disk of which no machine is running."""
    subprocess.run(["debugfs", "-R", f"dump {file} {to}", str(disk)], check=True, capture_output=True)
    # debugfs reports no failure.
    assert to.exists() and to.stat().st_size > 0, f"{file} is not on the disk"


def times(vm: Machine, pattern: str) -> list[float]:
    """The seconds since boot at which the kernel's log has a line."""
    found = [re.match(rf"\[ *([\d.]+)\] {pattern}", line) for line in vm.guest.check("dmesg").splitlines()]
    return [float(line.group(1)) for line in found if line]
