"""The kernels that are booted: Debian's, as their packages hold them, and one that the user names (VM_KERNEL)."""

import dataclasses
import hashlib
import lzma
import pathlib
import re
import shutil
import subprocess
import tempfile

import cache
import debian

# Loaded at boot: the drivers of the topologies' devices. No udev does it in the guest.
LOADED = ["e1000e", "e1000", "nvme", "xhci-pci", "virtio-pci", "virtio_net", "virtio-rng", "virtio-iommu"]
# Loaded instead where the userspace is on a disk: the others are left to its udev.
DISK = ["virtio-blk", "virtio-pci", "ext4"]
# There for a `modprobe`, by a test or by the daemon.
AT_HAND = [*DISK, "vfio", "vfio_iommu_type1", "vfio-pci", "iommufd", "pci-stub", "nvmet",
           # What a host does with its cards and disks, and the ciphers of its encrypted ones.
           "bonding", "bridge", "8021q", "vrf", "wireguard", "xfs", "btrfs", "raid1", "dm-mod", "dm-crypt", "xts",
           "ecb", "aes_generic", "sha256_generic", "algif_skcipher"]
# kmod's modprobe loads type1 after vfio, and crc32c before ext4 (MODULE_SOFTDEP); busybox knows no such thing. Without
# type1 no container works, and without crc32c no mount.
SOFT = {"vfio_pci": ["vfio_iommu_type1"], "ext4": ["crc32c_generic"]}


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel that can be booted."""

    # What it is called in the report.
    name: str
    # `legacy` (groups and containers) or `iommufd` (character devices too): which half of the tests it is for.
    interface: str
    image: pathlib.Path
    # Holds `lib/modules`, with the modules above; nothing where all is built in.
    modules: pathlib.Path | None
    has_virtio_iommu: bool


def with_iommufd(image: str) -> Kernel | None:
    """A kernel with iommufd and all drivers built in: the one that is named, or else what `make vm-kernel` has built."""
    path = pathlib.Path(image) if image else cache.built_kernel()
    if not image and not path.exists():
        return None
    return Kernel("iommufd", "iommufd", path.resolve(strict=True), None, has_virtio_iommu=True)


def stock(suite: str | None = None) -> Kernel:
    """Debian's own kernel, of the system's release or of a suite; from the cache when it has been fetched before."""
    wanted = hashlib.sha256(f"{LOADED} {AT_HAND} {SOFT}".encode()).hexdigest()[:8]
    folder = cache.folder("kernels") / f"{suite or 'stock'}-{wanted}"
    if not folder.exists():
        archive = debian.Archive(suite)
        package = archive.download(archive.dependency("linux-image-amd64", r"linux-image-\d\S+"))
        # Unpacked beside and moved: a run that was interrupted leaves no half of a kernel.
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            subprocess.run(["dpkg-deb", "-x", str(package), f"{scratch}/package"], check=True)
            keep(pathlib.Path(scratch) / "package", pathlib.Path(scratch) / "kept")
            (pathlib.Path(scratch) / "kept").rename(folder)
        package.unlink()
    modules = next((folder / "lib/modules").iterdir())
    return Kernel(suite or "debian", "legacy", folder / "vmlinuz", folder, (modules / "virtio_iommu.ko").exists())


def keep(package: pathlib.Path, kept: pathlib.Path) -> None:
    """Keeps of an unpacked package the kernel, and the modules that are wanted with what they depend on."""
    tree = next(path for path in [package / "lib/modules", package / "usr/lib/modules"] if path.exists())
    tree = next(tree.iterdir())
    folder = kept / "lib/modules" / tree.name
    folder.mkdir(parents=True)
    shutil.copy(next((package / "boot").glob("vmlinuz-*")), kept / "vmlinuz")
    files = {key(path.name): path for path in tree.rglob("*.ko*")}
    waiting = [key(name) for name in LOADED + AT_HAND]
    dependencies: dict[str, list[str]] = {}
    while waiting:
        name = waiting.pop()
        if name in dependencies or name not in files:
            continue
        content = files[name].read_bytes()
        if files[name].suffix == ".xz":
            content = lzma.decompress(content)
        (folder / f"{name}.ko").write_bytes(content)
        dependencies[name] = SOFT.get(name, []) + wants(content)
        waiting += dependencies[name]
    # What the guest's modprobe reads; depmod would come to the same.
    lines = [f"{name}.ko: {' '.join(f'{other}.ko' for other in closure(name, dependencies))}\n"
             for name in sorted(dependencies)]
    (folder / "modules.dep").write_text("".join(lines))


def wants(module: bytes) -> list[str]:
    """The modules that a module says it needs (its .modinfo section)."""
    names = [name for found in re.findall(rb"\0depends=([^\0]*)", module) for name in found.decode().split(",")]
    return [key(name) for name in names if name]


def closure(name: str, dependencies: dict[str, list[str]]) -> list[str]:
    """All that a module needs, what is needed last first: modprobe loads from the end of the list."""
    order: list[str] = []
    for other in dependencies[name]:
        for further in [other, *closure(other, dependencies)] if other in dependencies else []:
            if further in order:
                order.remove(further)
            order.append(further)
    return order


def key(name: str) -> str:
    """The one name of a module that is written with - or _, and in a file ends in .ko or .ko.xz."""
    return name.split(".ko")[0].replace("-", "_")
