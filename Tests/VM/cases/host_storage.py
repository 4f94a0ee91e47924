"""What a host does with its disks, made with the host's own tools on a whole Debian: each refuses the disk, and the disk
can be had once that has ended."""

from collections.abc import Iterator
from contextlib import contextmanager

from cases.claims import unchanged
from machine import Machine
from suite import test
from waiting import until

PLACES = {"host": ("intel",)}
DISKS = ["0000:03:00.0", "0000:04:00.0", "0000:05:00.0"]


def prove_used(vm: Machine, address: str, sentence: str) -> None:
    """A device is not taken, with this sentence, which stands in its group as well."""
    driver = vm.sysfs.settings()[address].driver
    refused = vm.daemon.refusal(f"claim {address} --name mine")
    assert sentence in refused and address in refused, refused
    assert vm.daemon.claims() == [] and vm.sysfs.settings()[address].driver == driver
    # The group's answer may be some seconds old.
    until(lambda: any(sentence in use["detail"] for use in vm.daemon.group_of(address).get("uses", [])),
          f"the group's answer to have: {sentence}")


def prove_free(vm: Machine, address: str) -> None:
    """The twin: what is not used is taken without a word, and given back."""
    with unchanged(vm):
        vm.daemon.claim(f"{address} --name mine")
        vm.daemon.release("mine")


@contextmanager
def disks(vm: Machine, count: int) -> Iterator[list[str]]:
    """The names of so many disks that nobody uses; afterwards they can be had."""
    names = [name_of(vm, address) for address in DISKS[:count]]
    vm.guest.check(f"modprobe -a xfs btrfs raid1 dm-mod dm-crypt; wipefs -qa {' '.join(f'/dev/{name}' for name in names)}")
    yield names
    for address in DISKS[:count]:
        prove_free(vm, address)
        name_of(vm, address)


def name_of(vm: Machine, address: str) -> str:
    """The name of a controller's disk, once it is there."""
    command = f"ls -d /sys/bus/pci/devices/{address}/nvme/nvme*/nvme*n1"
    until(lambda: vm.guest.run(command).status == 0, f"the disk of {address}")
    name = vm.guest.check(command).split("/")[-1].strip()
    vm.guest.check("udevadm settle")
    until(lambda: vm.guest.run(f"test -b /dev/{name}").status == 0, f"/dev/{name}")
    return name


@test(PLACES, interface="legacy", userspace="systemd")
def a_disk_with_the_log_of_an_xfs_file_system_is_refused(vm: Machine) -> None:
    with disks(vm, 2) as (data, log):
        vm.guest.check(f"mkfs.xfs -q -f -K -l logdev=/dev/{log},size=64m /dev/{data} && "
                       f"mount -t xfs -o logdev=/dev/{log} /dev/{data} /mnt")
        assert vm.guest.check(f"ls /sys/block/{log}/holders").strip() == ""
        prove_used(vm, DISKS[0], f"{data} on it is mounted at /mnt")
        prove_used(vm, DISKS[1], f"{log} on it is the log device of the XFS file system at /mnt")
        vm.guest.check("umount /mnt")


@test(PLACES, interface="legacy", userspace="systemd")
def both_disks_of_a_btrfs_file_system_are_refused(vm: Machine) -> None:
    with disks(vm, 2) as (first, second):
        vm.guest.check(f"mkfs.btrfs -q -f -K -d single -m raid1 /dev/{first} /dev/{second} && mount /dev/{first} /mnt")
        identity = vm.guest.check("ls /sys/fs/btrfs | grep -").strip()
        for address in DISKS[:2]:
            prove_used(vm, address, f"btrfs {identity} on it is mounted at /mnt")
        vm.guest.check("umount /mnt")


@test(PLACES, interface="legacy", userspace="systemd")
def disks_of_an_active_volume_group_are_refused(vm: Machine) -> None:
    with disks(vm, 2) as (first, second):
        vm.guest.check(f"vgcreate -qq tank /dev/{first} /dev/{second} && lvcreate -qq -Wn -L 16m -n data tank /dev/{first}",
                       seconds=120)
        prove_used(vm, DISKS[0], "dm-0 (the logical volume tank/data) stacks on it")
        # Nothing lies on the second yet, and the group breaks without it. Its group is on record where a disk was there at
        # boot, and in LVM's hints, which every command of LVM may throw away.
        vm.guest.check("rm -f /run/lvm/hints")
        prove_used(vm, DISKS[1], f"{second} on it is a physical volume of LVM, and LVM has not recorded of which group")
        vm.guest.check("pvs")
        prove_used(vm, DISKS[1], f"{second} on it belongs to the volume group tank, which is active")
        vm.guest.check("vgchange -qq -an tank && vgremove -qq -f tank && pvremove -qq "
                       f"/dev/{first} /dev/{second}", seconds=120)


@test(PLACES, interface="legacy", userspace="systemd")
def disks_of_an_array_are_refused(vm: Machine) -> None:
    with disks(vm, 2) as (first, second):
        vm.guest.check(f"mdadm --create /dev/md7 --run --quiet --metadata=1.2 --level=1 --raid-devices=2 --size=16M "
                       f"--assume-clean /dev/{first} /dev/{second}", seconds=120)
        for address in DISKS[:2]:
            prove_used(vm, address, "md7 (raid1) stacks on it")
        vm.guest.check(f"mdadm --stop --quiet /dev/md7 && mdadm --zero-superblock /dev/{first} /dev/{second}")


@test(PLACES, interface="legacy", userspace="systemd")
def a_disk_with_an_open_luks_volume_is_refused(vm: Machine) -> None:
    with disks(vm, 1) as (name,):
        vm.guest.check(f"echo secret >/tmp/secret && cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 "
                       f"--pbkdf-force-iterations 1000 /dev/{name} /tmp/secret && "
                       f"cryptsetup open --key-file /tmp/secret /dev/{name} safe", seconds=120)
        prove_used(vm, DISKS[0], "dm-0 (encrypted, safe) stacks on it")
        vm.guest.check("cryptsetup close safe")


@test(PLACES, interface="legacy", userspace="systemd")
def a_disk_that_is_mounted_while_a_claim_loads_its_modules_is_refused(vm: Machine) -> None:
    """Between the claim's look and its first unbind it has a module loaded; here, that mounts the disk."""
    with disks(vm, 1) as (name,):
        vm.guest.check(
            f"mkfs.ext2 -q /dev/{name} && systemctl stop modprobe@vfio_pci.service && modprobe -r vfio_pci && "
            "mkdir -p /run/systemd/system/modprobe@vfio_pci.service.d && "
            f"printf '[Service]\\nExecStartPost=/bin/mount -t ext4 /dev/{name} /mnt\\n' "
            ">/run/systemd/system/modprobe@vfio_pci.service.d/mount.conf && systemctl daemon-reload")
        assert vm.guest.run("mountpoint -q /mnt").status != 0
        refused = vm.daemon.refusal(f"claim {DISKS[0]} --name mine")
        assert f"{name} on it is mounted at /mnt" in refused, refused
        assert vm.guest.run("test -e /sys/module/vfio_pci && mountpoint -q /mnt").status == 0
        settings = vm.sysfs.settings()[DISKS[0]]
        assert (settings.driver, settings.driver_override) == ("nvme", "(null)"), settings
        vm.guest.check("rm -r /run/systemd/system/modprobe@vfio_pci.service.d && systemctl daemon-reload && umount /mnt")
