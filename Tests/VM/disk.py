"""The disks of the guests that are a whole Debian: `userspace="systemd"` is Debian 12 with systemd 252, and `trixie` is
Debian 13 with systemd 257.

They are Debian's packages as mmdebstrap installs them, with their maintainer scripts, in a file system of its own, so
that dpkg, apt and systemctl work in the guest as anywhere. Each is made once, in one or two minutes, and kept in the
cache. What changes from run to run (the daemon, a kernel's modules) comes with the initramfs and is copied on to it at
boot (`init`). A machine's writes are gone with the machine.
"""

import dataclasses
import fcntl
import hashlib
import pathlib
import subprocess
import tempfile

import cache
import debian

# Beyond what is essential to every Debian: its init, and what the daemon's binaries are linked with.
SYSTEM = ("systemd-sysv", "udev", "kmod", "libstdc++6", "usr-is-merged")
# Other people's launchers: a QEMU that knows iommufd, and DPDK with the driver of the topologies' cards.
LAUNCHERS = (
    *(f"{name}/bookworm-backports" for name in ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"]),
    "dpdk-dev", "librte-net-e1000-23", "librte-mempool-ring23", "librte-bus-pci23")
# What a host does with its cards and disks.
TOOLS = ("btrfs-progs", "cryptsetup-bin", "iproute2", "lvm2", "mdadm", "wireguard-tools", "xfsprogs")
# What they depend on, no test needs, and would make the disk several times as big: a package of ours provides it.
ABSENT = ("ipxe-qemu", "libdpdk-dev", "libicu72", "python3")
# usr-is-merged, made true by the hook, instead of usrmerge, which would bring all of Perl.
HOOKS = "/usr/share/mmdebstrap/hooks/merged-usr"
# Sparse: what is not used takes no place.
SIZE = 2 << 30


@dataclasses.dataclass(frozen=True)
class Debian:
    """A release of Debian, and what its disk has beyond the system."""

    suite: str
    packages: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    # Suites of its archive besides those that every release has.
    further: tuple[str, ...] = ()

    def sources(self) -> str:
        suites = [self.suite, f"{self.suite}-updates", *self.further]
        lines = [f"deb http://deb.debian.org/debian {suite} main\n" for suite in suites]
        return "".join([*lines, f"deb http://deb.debian.org/debian-security {self.suite}-security main\n"])


# By the userspace of a place.
DEBIANS = {
    "systemd": Debian("bookworm", (*LAUNCHERS, *TOOLS, "initramfs-tools"), ABSENT, further=("bookworm-backports",)),
    "trixie": Debian("trixie"),
}


def image(userspace: str) -> pathlib.Path:
    """The file system; from the cache when it has been made before."""
    release = DEBIANS[userspace]
    arguments = ["mmdebstrap", "--variant=minbase", "--format=ext2",
                 f"--include={','.join([*SYSTEM, *release.packages])}", f"--hook-dir={HOOKS}",
                 "--aptopt=Acquire::Languages \"none\"", "--dpkgopt=force-unsafe-io"]
    wanted = hashlib.sha256(f"{arguments} {release} {SIZE}".encode()).hexdigest()[:8]
    path = cache.folder("disks") / f"{release.suite}-{wanted}.ext2"
    # Both halves of a run may want it.
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make(path, release, arguments)
    return path


def make(path: pathlib.Path, release: Debian, arguments: list[str]) -> None:
    """Makes the file system where it is not there yet."""
    if not path.exists():
        print(f"VM systemd: making the userspace of Debian's {release.suite}, once", flush=True)
        # Made beside and moved: a run that was interrupted leaves no half of a disk.
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            made = pathlib.Path(scratch) / "root.ext2"
            arguments = [*arguments, f"--keyring={debian.keyring(pathlib.Path(scratch))}"]
            if release.absent:
                placeholder = package_of_absent(pathlib.Path(scratch), release.absent)
                arguments.append(f"--essential-hook=dpkg --root=\"$1\" --install {placeholder}")
            run(*arguments, release.suite, str(made), "-", said=release.sources())
            with open(made, "r+b") as file:
                file.truncate(SIZE)
            run("resize2fs", "-f", str(made))
            made.rename(path)


def package_of_absent(folder: pathlib.Path, absent: tuple[str, ...]) -> pathlib.Path:
    """A package without files that provides what is to be absent."""
    tree = folder / "absent"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: vm-tests-absent\nVersion: 1\nArchitecture: all\nMaintainer: VM tests <root@localhost>\n"
        f"Provides: {', '.join(f'{name} (= 1:99)' for name in absent)}\nDescription: what the VM tests do without\n")
    run("dpkg-deb", "--build", "--root-owner-group", str(tree))
    return folder / "absent.deb"


def run(*words: str, said: str = "") -> None:
    try:
        result = subprocess.run(words, input=said, capture_output=True, text=True, timeout=900)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise debian.Unreachable(f"{words[0]}: {error}") from error
    if result.returncode != 0:
        raise debian.Unreachable(f"{words[0]}: {result.stderr.strip()[-300:]}")
