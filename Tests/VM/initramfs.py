"""What a kernel is booted with: busybox, modules, and what the userspace needs. Without a disk that is all of the
guest: the shipped programs with the libraries that ldd names, the agent, and every program of which `programs` holds the
C source. For a userspace on a disk (see disk.py) it holds, below `disk`, what is copied on to that.

It is written as the kernel reads it (cpio's `newc`), not unpacked from a folder, since device nodes and files of root
would take root. It is not compressed: the guest would spend seconds of its emulated time on that.
"""

import os
import pathlib
import re
import stat
import subprocess
import tempfile

import kernels

HERE = pathlib.Path(__file__).parent
BUSYBOX = pathlib.Path("/bin/busybox")
PROGRAMS = ["vfiogroupd", "vfiogroupctl"]
FOLDERS = ["bin", "dev", "etc", "proc", "sys", "root", "run", "tmp", "lib", "var", "var/lib"]
# What takes time at boot and is of no use to a test: logins, maintenance, file systems that nobody mounts.
MASKED = ["apt-daily.timer", "apt-daily-upgrade.timer", "dev-hugepages.mount", "dev-mqueue.mount", "dpkg-db-backup.timer",
          "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "getty.target", "modprobe@configfs.service",
          "modprobe@dm_mod.service", "modprobe@drm.service", "modprobe@efi_pstore.service", "modprobe@fuse.service",
          "modprobe@loop.service", "sys-fs-fuse-connections.mount", "sys-kernel-config.mount", "sys-kernel-tracing.mount",
          "systemd-ask-password-console.path", "systemd-ask-password-wall.path", "systemd-initctl.socket",
          "systemd-journal-flush.service", "systemd-journald-audit.socket", "systemd-pstore.service",
          "systemd-random-seed.service", "systemd-remount-fs.service", "systemd-sysctl.service", "systemd-sysusers.service",
          "systemd-tmpfiles-clean.timer", "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service",
          "systemd-user-sessions.service"]
MASKED_GENERATORS = ["bless-boot", "cryptsetup", "fstab", "getty", "gpt-auto", "hibernate-resume", "integritysetup",
                     "rc-local", "run", "system-update", "sysv", "veritysetup"]


class Archive:
    """A cpio archive in the making."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._names: set[str] = set()

    def folder(self, name: str) -> None:
        self._add(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        self._add(name, stat.S_IFREG | mode, content)

    def tree(self, name: str, folder: pathlib.Path) -> None:
        """All files of a folder, below a name."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                mode = stat.S_IMODE(path.stat().st_mode) & 0o755
                self.file(f"{name}/{path.relative_to(folder)}", path.read_bytes(), mode)

    def link(self, name: str, target: str) -> None:
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, name: str, major: int, minor: int) -> None:
        self._add(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def finished(self) -> bytes:
        self._append("TRAILER!!!", 0)
        return bytes(self._bytes)

    def _add(self, name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        if name in self._names:
            return
        parent = name.rpartition("/")[0]
        if parent and parent not in self._names:
            self.folder(parent)
        self._names.add(name)
        self._append(name, mode, content, device)

    def _append(self, name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        # inode, mode, uid, gid, links, mtime, size, device of the file (2), device that it stands for (2), length of the
        # name, check sum: 8 hexadecimal digits each; name and content are filled up to 4 bytes.
        fields = [len(self._names), mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0]
        self._bytes += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self._pad()
        self._bytes += content
        self._pad()

    def _pad(self) -> None:
        self._bytes += b"\0" * (-len(self._bytes) % 4)


def build(kernel: kernels.Kernel, programs: pathlib.Path, package: pathlib.Path, has_disk: bool) -> bytes:
    """The archive for a kernel, with or without a userspace on a disk; `programs` is the folder of the release binaries,
    and `package` the Debian package of them."""
    archive = Archive()
    for name in FOLDERS:
        archive.folder(name)
    # The kernel opens it for PID 1 before anything is mounted.
    archive.character_device("dev/console", 5, 1)
    archive.file("init", (HERE / "init").read_bytes(), 0o755)
    archive.file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
    for name in subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split():
        archive.link(f"bin/{name}", "busybox")
    # Where the kernel and the daemon look for it.
    archive.link("sbin", "bin")
    archive.link("usr", ".")
    add_modules(kernel, archive)
    if has_disk:
        add_disk(archive, programs, package)
    else:
        add_guest(archive, programs)
    return archive.finished()


def add_guest(archive: Archive, programs: pathlib.Path) -> None:
    """Adds the rest of a guest that has no disk."""
    archive.file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
    archive.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n")
    for name in PROGRAMS:
        path = (programs / name).resolve(strict=True)
        archive.file(f"bin/{name}", path.read_bytes(), 0o755)
        for library in libraries(path):
            archive.file(library.lstrip("/"), pathlib.Path(library).read_bytes(), 0o755)
    add_test_programs(archive, "bin")


def add_disk(archive: Archive, programs: pathlib.Path, package: pathlib.Path) -> None:
    """Adds what is copied on to the disk: what `make install` installs, the package for tests to install, and the folder
    `root` with what is to be as it is there on every boot."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(
            ["make", "--silent", "-C", HERE.parent.parent, "install", f"RELEASE={programs.resolve()}", "PREFIX=/usr",
             f"DESTDIR={scratch}"], check=True)
        archive.tree("disk", pathlib.Path(scratch))
    archive.tree("disk", HERE / "root")
    archive.file("disk/root/vfiogroupd.deb", package.read_bytes())
    for unit in MASKED:
        archive.link(f"disk/etc/systemd/system/{unit}", "/dev/null")
    for generator in MASKED_GENERATORS:
        archive.link(f"disk/etc/systemd/system-generators/systemd-{generator}-generator", "/dev/null")
    for unit in ["vfiogroupd.service", "vm-agent.service"]:
        archive.link(f"disk/etc/systemd/system/multi-user.target.wants/{unit}", f"/usr/lib/systemd/system/{unit}")
    archive.link("disk/etc/systemd/system/sockets.target.wants/vfiogroupd.socket",
                 "/usr/lib/systemd/system/vfiogroupd.socket")
    archive.file("disk/usr/bin/busybox", BUSYBOX.read_bytes(), 0o755)
    add_test_programs(archive, "disk/usr/bin")


def add_test_programs(archive: Archive, folder: str) -> None:
    """Adds the agent, and the C programs of the tests."""
    archive.file(f"{folder}/agent", (HERE / "agent").read_bytes(), 0o755)
    for source in sorted((HERE / "programs").glob("*.c")):
        archive.file(f"{folder}/{source.stem}", compiled(source), 0o755)


def compiled(source: pathlib.Path) -> bytes:
    """A C program, linked statically."""
    with tempfile.TemporaryDirectory() as scratch:
        program = pathlib.Path(scratch) / source.stem
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, source], check=True)
        return program.read_bytes()


def libraries(program: pathlib.Path) -> list[str]:
    """What ldd names, by the paths at which the loader will look."""
    printed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    if "not found" in printed:
        raise FileNotFoundError(f"{program} lacks libraries here: {printed}")
    return re.findall(r"(/\S+) \(0x", printed)


def add_modules(kernel: kernels.Kernel, archive: Archive) -> None:
    """Adds a kernel's modules, and which of them `init` loads: those of the topologies, or those of the disk."""
    there: set[str] = set()
    if kernel.modules is not None:
        for path in sorted((kernel.modules / "lib/modules").rglob("*")):
            if path.is_file():
                archive.file(str(path.relative_to(kernel.modules)), path.read_bytes())
        there = {path.stem for path in (kernel.modules / "lib/modules").rglob("*.ko")}
    for name, wanted in [("modules", kernels.LOADED), ("modules.disk", kernels.DISK)]:
        lines = [f"{module}\n" for module in wanted if kernels.key(module) in there]
        archive.file(f"etc/{name}", "".join(lines).encode())
