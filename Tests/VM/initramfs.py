"""The guest's file system: busybox, the shipped programs with the libraries that ldd names, modules, the agent, and
every program of which `programs` holds the C source.

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
FOLDERS = ["bin", "dev", "etc", "proc", "sys", "run", "tmp", "lib", "var", "var/lib"]


class Archive:
    """A cpio archive in the making."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._names: set[str] = set()

    def folder(self, name: str) -> None:
        self._add(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        self._add(name, stat.S_IFREG | mode, content)

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


def build(kernel: kernels.Kernel, programs: pathlib.Path) -> bytes:
    """The archive for a kernel; `programs` is the folder of the release binaries."""
    archive = Archive()
    for name in FOLDERS:
        archive.folder(name)
    # The kernel opens it for PID 1 before anything is mounted.
    archive.character_device("dev/console", 5, 1)
    archive.file("init", (HERE / "init").read_bytes(), 0o755)
    archive.file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
    archive.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n")
    archive.file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
    for name in subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split():
        archive.link(f"bin/{name}", "busybox")
    # Where the kernel and the daemon look for it.
    archive.link("sbin", "bin")
    archive.link("usr", ".")
    for name in PROGRAMS:
        path = (programs / name).resolve(strict=True)
        archive.file(f"bin/{name}", path.read_bytes(), 0o755)
        for library in libraries(path):
            archive.file(library.lstrip("/"), pathlib.Path(library).read_bytes(), 0o755)
    for source in sorted((HERE / "programs").glob("*.c")):
        archive.file(f"bin/{source.stem}", compiled(source), 0o755)
    archive.file("etc/modules", "".join(f"{name}\n" for name in modules(kernel, archive)).encode())
    return archive.finished()


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


def modules(kernel: kernels.Kernel, archive: Archive) -> list[str]:
    """Adds a kernel's modules, and names those to be loaded at boot."""
    if kernel.modules is None:
        return []
    for path in sorted((kernel.modules / "lib/modules").rglob("*")):
        if path.is_file():
            archive.file(str(path.relative_to(kernel.modules)), path.read_bytes())
    there = {path.stem for path in (kernel.modules / "lib/modules").rglob("*.ko")}
    return [name for name in kernels.LOADED if kernels.key(name) in there]
