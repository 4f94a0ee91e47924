"""The disk of the guests that are a whole Debian 12 under systemd: `userspace="systemd"`.

It is Debian's packages as mmdebstrap installs them, with their maintainer scripts, in a file system of its own, so that
dpkg, apt and systemctl work in the guest as anywhere. It is made once, in about a minute, and kept in the cache. What changes
from run to run (the daemon, a kernel's modules) comes with the initramfs and is copied on to it at boot (`init`). A machine's
writes are gone with the machine.
"""

import hashlib
import pathlib
import subprocess
import tempfile

import cache
import debian

SUITE = "bookworm"
# Beyond what is essential to every Debian: its init, and what the daemon's binaries are linked with.
PACKAGES = ["systemd-sysv", "udev", "kmod", "libstdc++6", "usr-is-merged"]
# usr-is-merged, made true by the hook, instead of usrmerge, which would bring all of Perl.
HOOKS = "/usr/share/mmdebstrap/hooks/merged-usr"
# Sparse: what is not used takes no place.
SIZE = 2 << 30


def image() -> pathlib.Path:
    """The file system; from the cache when it has been made before."""
    arguments = ["mmdebstrap", "--variant=minbase", "--format=ext2", f"--include={','.join(PACKAGES)}",
                 f"--hook-dir={HOOKS}", "--aptopt=Acquire::Languages \"none\"", "--dpkgopt=force-unsafe-io", SUITE]
    wanted = hashlib.sha256(f"{arguments} {SIZE}".encode()).hexdigest()[:8]
    path = cache.folder("disks") / f"{SUITE}-{wanted}.ext2"
    if not path.exists():
        print("VM systemd: making Debian's userspace, once", flush=True)
        # Made beside and moved: a run that was interrupted leaves no half of a disk.
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            made = pathlib.Path(scratch) / "root.ext2"
            run(*arguments, str(made))
            with open(made, "r+b") as file:
                file.truncate(SIZE)
            run("resize2fs", "-f", str(made))
            made.rename(path)
    return path


def run(*words: str) -> None:
    try:
        result = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise debian.Unreachable(f"{words[0]}: {error}") from error
    if result.returncode != 0:
        raise debian.Unreachable(f"{words[0]}: {result.stderr.strip()[-300:]}")
