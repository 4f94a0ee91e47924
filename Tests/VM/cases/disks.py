"""Disks that the host uses without a holder in sysfs, of the kinds that need no tools in the guest. LVM, md, LUKS, and XFS
or btrfs on two disks need theirs, which the guests do not have."""

from cases.claims import unchanged
from machine import Machine
from suite import test
from waiting import until

PLACES, FURTHER = {"rich": ("intel",)}, {"rich": ("amd",)}
SUBSYSTEM = "/sys/kernel/config/nvmet/subsystems/nqn.test"


def disk_of(vm: Machine) -> tuple[str, str]:
    """The controller that has a disk, and the disk's name, once its node is there."""
    address = vm.sysfs.find("0x1b36:0x0010").address
    name = vm.guest.check(f"ls -d /sys/bus/pci/devices/{address}/nvme/nvme*/nvme*n1").split("/")[-1].strip()
    until(lambda: vm.guest.run(f"test -b /dev/{name}").status == 0, f"/dev/{name}")
    return address, name


def is_free(vm: Machine, address: str) -> None:
    """The twin: what is not used is taken without a word, and given back."""
    vm.daemon.claim(f"{address} --name disk")
    vm.daemon.release("disk")
    until(lambda: vm.guest.run(f"ls -d /sys/bus/pci/devices/{address}/nvme/nvme*/nvme*n1").status == 0, "the disk")


@test(PLACES, FURTHER, interface="legacy")
def a_disk_that_nvmet_exports_is_refused_until_the_export_ends(vm: Machine) -> None:
    disk, name = disk_of(vm)
    with unchanged(vm):
        vm.guest.check("modprobe nvmet && mkdir -p /sys/kernel/config && "
                       "(grep -q ' /sys/kernel/config ' /proc/mounts || mount -t configfs configfs /sys/kernel/config)")
        space = f"{SUBSYSTEM}/namespaces/1"
        # The machine's disk can only be read, and nvmet asks for more, unless it takes the node for a file.
        vm.guest.check(f"mkdir {SUBSYSTEM} && mkdir {space} && echo -n /dev/{name} > {space}/device_path && "
                       f"echo 1 > {space}/buffered_io && echo 1 > {space}/enable")
        assert vm.guest.check(f"ls /sys/block/{name}/holders").strip() == ""
        refused = vm.daemon.refusal(f"claim {disk} --name disk")
        assert f"{name} on it is exported by nvmet (nqn.test, namespace 1)" in refused, refused
        assert vm.sysfs.settings()[disk].driver == "nvme"
        vm.guest.check(f"echo 0 > {space}/enable")
        is_free(vm, disk)
        vm.guest.check(f"rmdir {space} && rmdir {SUBSYSTEM}")


@test(PLACES, FURTHER, interface="iommufd")
@test(PLACES, FURTHER, interface="legacy")
def a_file_system_that_was_unmounted_while_in_use_still_refuses(vm: Machine) -> None:
    disk, name = disk_of(vm)
    with unchanged(vm):
        vm.guest.run("modprobe ext4")
        vm.guest.check(f"mkdir -p /mnt && mount -t ext4 -o ro /dev/{name} /mnt")
        user = vm.guest.start("sh -c 'cd /mnt && exec sleep 600'")
        until(lambda: vm.guest.run(f"ls -l /proc/{user.pid}/cwd | grep -q /mnt").status == 0, "its user")
        vm.guest.check("umount -l /mnt")
        refused = vm.daemon.refusal(f"claim {disk} --name disk")
        assert f"the ext4 file system of {name} on it is in use" in refused, refused
        assert vm.sysfs.settings()[disk].driver == "nvme"
        user.kill()
        until(lambda: vm.guest.run(f"test -d /sys/fs/ext4/{name}").status != 0, "the file system to be given up")
        is_free(vm, disk)
