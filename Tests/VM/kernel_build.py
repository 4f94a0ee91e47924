"""Builds a kernel with iommufd and VFIO's character devices: `make vm-kernel`. No kernel of Debian 12 has them.

The source is Debian's newest linux-source of bookworm-backports, the configuration the smallest one plus what
`kernel.config` names, with all drivers built in. It takes 10 to 45 minutes on two cores, once.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import cache
import debian

# Without one of them the kernel would boot, and the tests would fail without saying why.
NEEDED = ["IOMMUFD", "VFIO_DEVICE_CDEV", "VFIO_GROUP", "VFIO_PCI", "INTEL_IOMMU", "AMD_IOMMU", "VIRTIO_IOMMU", "PCI_IOV",
          "HOTPLUG_PCI_ACPI", "E1000E", "BLK_DEV_NVME", "SERIAL_8250_CONSOLE", "DEVTMPFS", "BLK_DEV_INITRD"]


def run(folder: pathlib.Path, *words: str) -> None:
    subprocess.run(words, cwd=folder, check=True, stdin=subprocess.DEVNULL)


def unpack_source(folder: pathlib.Path) -> pathlib.Path:
    """Debian's source in a folder; the root of the tree."""
    archive = debian.Archive("bookworm-backports")
    package = archive.download(archive.newest(r"linux-source-[0-9]+\.[0-9]+"))
    run(folder, "dpkg-deb", "-x", str(package), "package")
    package.unlink()
    run(folder, "tar", "-xf", str(next((folder / "package/usr/src").glob("linux-source-*.tar.xz"))))
    return next(folder.glob("linux-source-*"))


def configure(source: pathlib.Path) -> None:
    run(source, "make", "--silent", "tinyconfig")
    run(source, "scripts/kconfig/merge_config.sh", "-m", ".config", str(pathlib.Path(__file__).parent / "kernel.config"))
    run(source, "make", "--silent", "olddefconfig")
    lines = (source / ".config").read_text().splitlines()
    missing = [name for name in NEEDED if f"CONFIG_{name}=y" not in lines]
    if missing:
        sys.exit(f"make vm-kernel: this source does not take {', '.join(missing)} from kernel.config")


def main() -> None:
    kept = cache.built_kernel()
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        source = unpack_source(pathlib.Path(scratch))
        configure(source)
        run(source, "make", "--silent", f"-j{len(os.sched_getaffinity(0))}", "bzImage")
        # Moved into place: what is there is whole.
        shutil.copy(source / "arch/x86/boot/bzImage", f"{scratch}/bzImage")
        pathlib.Path(scratch, "bzImage").rename(kept)
    print(f"{kept}\n`make test-vm` uses it when VM_KERNEL names no other.")


try:
    main()
except (debian.Unreachable, subprocess.CalledProcessError) as error:
    sys.exit(f"make vm-kernel: {error}")
