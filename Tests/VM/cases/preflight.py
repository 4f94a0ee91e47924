"""What the host itself uses is refused, and taken only when it is named."""

from cases.claims import unchanged
from daemon import last_reply, names
from machine import Machine
from suite import test
from waiting import until

PLACES, FURTHER = {"rich": ("intel",)}, {"rich": ("amd",)}


@test(PLACES, FURTHER, interface="iommufd")
@test({}, PLACES, interface="legacy")
def a_disk_that_is_mounted_is_refused_and_taken_by_force(vm: Machine) -> None:
    disk = vm.sysfs.find("0x1b36:0x0010").address
    with unchanged(vm):
        vm.guest.run("modprobe ext4")
        name = vm.guest.check(f"ls -d /sys/bus/pci/devices/{disk}/nvme/nvme*/nvme*n1").split("/")[-1].strip()
        # The node comes a moment after the disk.
        until(lambda: vm.guest.run(f"test -b /dev/{name}").status == 0, f"/dev/{name}")
        vm.guest.check(f"mkdir -p /mnt && mount -t ext4 -o ro /dev/{name} /mnt")
        refused = vm.daemon.refusal(f"claim {disk} --name disk")
        assert "/mnt" in refused and disk in refused and name in refused, refused
        assert vm.daemon.claims() == [] and vm.sysfs.settings()[disk].driver == "nvme"
        # Another device that is forced does not help.
        vm.daemon.refusal(f"claim {disk} --force 0000:00:00.0")
        claim = vm.daemon.claim(f"{disk} --force {disk} --name disk")
        assert claim["state"] == "claimed" and vm.sysfs.settings()[disk].driver == "vfio-pci"
        vm.guest.check("umount /mnt")
        vm.daemon.release("disk")
        until(lambda: vm.guest.run(f"ls /sys/bus/pci/devices/{disk}/nvme").status == 0, "the disk to be back")


@test({"rich": ("intel", "amd"), "small": ("intel",), "sriov": ("intel",), "hotplug": ("intel",)},
      {"rich": ("virtio",), "small": ("amd",), "sriov": ("amd",), "hotplug": ("amd",)})
def what_nobody_uses_would_be_taken(vm: Machine) -> None:
    """Refusals that are wrong are counted: nothing in these machines is in use, but functions of the chipset."""
    asked, refused = 0, {}
    for group in vm.daemon.groups():
        if not group["claimable"]:
            continue
        asked += 1
        printed = vm.guest.run(f"vfiogroupctl --json claim {group['id']} --dry-run").output
        for use in last_reply(printed)["plan"]["uses"]:
            if use["severity"] != "warns":
                refused[", ".join(names(group))] = (use["kind"], use["reason"])
    assert asked > 2, asked
    assert all(kind == "chipset" for kind, _ in refused.values()), refused
