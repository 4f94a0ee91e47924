"""One emulated machine: QEMU's process, its monitor (QMP), and the two serial ports, of which the first is the
kernel's console and the second leads to the agent in the guest."""

import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
from typing import Any

import disk as disks
import topologies
import waiting
from place import Place

PROGRAM = "qemu-system-x86_64"

# no_timer_check: without it a loaded host makes the guest panic over a late timer. panic=-1 with QEMU's -no-reboot ends
# QEMU at once, so that a panic is noticed as the end of the machine.
# e1000e.IntMode=1: MSI in the place of MSI-X, for each of the driver's first 32 probes. QEMU's e1000e keeps a timer of the
# legacy interrupt over a reset, and aborts when it fires with MSI-X on ("e1000e_intrmgr_on_throttling_timer: Assertion
# `!msix_enabled(timer->core->owner)' failed" in 7.2; qemu-devel discusses its siblings as late as August 2025): seen once
# in four runs of testpmd, which ends amid its traffic.
KERNEL_ARGUMENTS = ("console=ttyS0 panic=-1 oops=panic quiet no_timer_check "
                    f"e1000e.IntMode={','.join(['1'] * 32)}")

# For Debian's initramfs; the tests' own knows its disk.
ROOT_ARGUMENTS = "root=/dev/vda rootfstype=ext4 rw"

# mkfs.xfs makes none smaller than 300 MB.
SCRATCH_SIZE = 512 << 20

# One processor: with two, QEMU 7.2 without KVM now and then lets one of them run into the int3 by which Linux patches its
# own code on the other ("Oops: int3" at boot, on a loaded host).
PROCESSORS = "1"


class MachineGone(Exception):
    """The machine is no more, or does not answer: nothing more can be tested in it."""


class QEMU:
    """A running QEMU. What it leaves behind lies in `folder`: console.log and qemu.log."""

    def __init__(self, place: Place, initramfs: pathlib.Path, disk: pathlib.Path | None, folder: pathlib.Path):
        self.folder = folder
        # What QEMU calls the devices that were plugged.
        self._ids: dict[str, str] = {}
        self._plugged = 0
        folder.mkdir(parents=True, exist_ok=True)
        # Names of sockets hold 107 bytes at most: they cannot lie in a cache folder that may lie anywhere.
        self._sockets = pathlib.Path(tempfile.mkdtemp(prefix="vfiogroupd-vm-"))
        small = self._sockets / "disk.img"
        with open(small, "wb") as image:
            image.truncate(16 << 20)
        # A file system, so that a disk can be mounted.
        subprocess.run(["busybox", "mke2fs", "-F", str(small)], check=True, capture_output=True)
        arguments = [
            PROGRAM, "-M", "q35,kernel-irqchip=split", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", PROCESSORS,
            "-m", "768", "-nodefaults", "-display", "none", "-no-reboot",
            "-serial", f"file:{folder / 'console.log'}",
            "-chardev", f"socket,id=agent,path={self._sockets / 'agent'},server=on,wait=off",
            "-serial", "chardev:agent",
            "-qmp", f"unix:{self._sockets / 'qmp'},server=on,wait=off",
            "-drive", f"if=none,id=disk,format=raw,readonly=on,file={small}",
            *scratch_disks(place.topology, self._sockets), *topologies.devices(place.topology, place.iommu), *root(disk),
            "-kernel", str(place.kernel.image), "-initrd", str(initramfs),
            "-append", " ".join([
                KERNEL_ARGUMENTS, ROOT_ARGUMENTS if disk else "", f"userspace={place.userspace}",
                topologies.KERNEL_ARGUMENTS[place.iommu]]),
        ]
        with open(folder / "qemu.log", "w") as log:
            print(*arguments, file=log, flush=True)
            self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.agent = self._connect("agent")
            self._monitor = Monitor(self._connect("qmp"))
        except BaseException:
            self.close()
            raise

    def _connect(self, name: str) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        end = waiting.deadline(waiting.ANSWER)
        while True:
            try:
                connection.connect(str(self._sockets / name))
                return connection
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise MachineGone(f"QEMU did not start: {(self.folder / 'qemu.log').read_text()[-800:]}") from error
                time.sleep(0.02)

    def plug(self, name: str, driver: str, **properties: Any) -> None:
        """Adds a device; `name` is what `unplug` knows it by."""
        # Each time another: QEMU tells of a deletion when its last reference goes, which may be after a device of the
        # same name has come.
        self._plugged += 1
        self._ids[name] = f"{name}.{self._plugged}"
        self._monitor.execute("device_add", id=self._ids[name], driver=driver, **properties)

    def plug_disk(self, name: str, bus: str) -> None:
        """Adds a disk of nothing but zeroes."""
        self._monitor.execute(
            "blockdev-add", driver="null-co", size=16 << 20, **{"node-name": f"{name}-zeroes", "read-zeroes": True})
        self.plug(name, "virtio-blk-pci", bus=bus, drive=f"{name}-zeroes", iommu_platform=True, **{"disable-legacy": "on"})

    def stall_disk(self, name: str, is_stalled: bool) -> None:
        """Has a disk answer no more than a byte a second, or answer again. A request more or less passes first."""
        limits = {"bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}
        self._monitor.execute(
            "block_set_io_throttle", id=f"/machine/peripheral/{self._ids[name]}/virtio-backend", bps=int(is_stalled), **limits)

    def unplug_disk(self, name: str) -> None:
        self.unplug(name)
        self._monitor.execute("blockdev-del", **{"node-name": f"{name}-zeroes"})

    def request_unplug(self, name: str) -> None:
        """Asks the guest to let a device go; `unplug` waits until it has."""
        self._monitor.execute("device_del", id=self._ids[name])

    def unplug(self, name: str) -> None:
        """Asks the guest to let a device go, and waits until it has gone. A guest whose slot is still busy with what
        happened before does not hear of the request, which is why it is repeated."""
        end = waiting.deadline(waiting.CHANGE)
        while not self._monitor.has_deleted(self._ids[name]):
            if time.monotonic() > end:
                raise AssertionError(f"the guest did not let {name} go")
            self._monitor.request_deletion(self._ids[name])

    def copy_root(self, path: pathlib.Path) -> None:
        """Copies the disk of the userspace as it is now; what is to be in the copy was synced."""
        with open(path, "wb") as file:
            file.truncate(disks.SIZE)
        # Not drive-backup: the copy of a disk whose writes go elsewhere would be as temporary as they are.
        self._monitor.execute("blockdev-add", **{
            "driver": "raw", "node-name": "copy", "file": {"driver": "file", "filename": str(path)}})
        self._monitor.execute("blockdev-backup", **{"job-id": "copy", "device": "root", "target": "copy", "sync": "full"})
        waiting.until(lambda: not self._monitor.execute("query-block-jobs"), "the copy of the disk")
        self._monitor.execute("blockdev-del", **{"node-name": "copy"})

    def ending(self) -> str | None:
        """How QEMU ended, and what it said last; nothing while it runs. Its sockets close a moment before it ends."""
        try:
            code = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            return None
        # The first line is its arguments.
        said = (self.folder / "qemu.log").read_text(errors="replace").splitlines()[1:]
        return f"QEMU ended with {code}" + (f": {said[-1]}" if said else "")

    def last_console_lines(self, count: int = 40) -> str:
        try:
            text = (self.folder / "console.log").read_text(errors="replace")
        except OSError:
            return "(no console)"
        return "\n".join(text.replace("\r", "").splitlines()[-count:])

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._sockets, ignore_errors=True)


def scratch_disks(topology: str, folder: pathlib.Path) -> list[str]:
    """The words for the disks that a topology's devices call `scratchN`: empty ones, of which only what is written takes
    place."""
    names = re.findall(r"drive=(scratch\d)", " ".join(topologies.TOPOLOGIES[topology]))
    for name in names:
        with open(folder / name, "wb") as image:
            image.truncate(SCRATCH_SIZE)
    return [word for name in names
            for word in ("-drive", f"if=none,id={name},format=raw,cache=unsafe,file={folder / name}")]


def root(disk: pathlib.Path | None) -> list[str]:
    """The words for a disk with a userspace: all machines may have the same file, since their writes go elsewhere."""
    if disk is None:
        return []
    return ["-drive", f"if=none,id=root,format=raw,snapshot=on,file={disk}",
            "-device", "virtio-blk-pci,drive=root,addr=1e.0"]


class Monitor:
    """QEMU's monitor: commands with their answers, and the events that come in between."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._received = b""
        self._deleted: set[str] = set()
        self._receive(waiting.deadline(waiting.ANSWER))
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: Any) -> Any:
        message: dict[str, Any] = {"execute": command}
        if arguments:
            message["arguments"] = arguments
        try:
            self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise MachineGone(f"QEMU's monitor is gone: {error}") from error
        end = waiting.deadline(waiting.ANSWER)
        while True:
            reply = self._receive(end)
            if reply is None:
                raise MachineGone(f"QEMU's monitor does not answer {command}")
            if "error" in reply:
                raise AssertionError(f"QEMU refuses {command} {arguments}: {reply['error']['desc']}")
            if "return" in reply:
                return reply["return"]

    def request_deletion(self, name: str) -> None:
        """Asks, and waits a moment for what comes of it."""
        try:
            self.execute("device_del", id=name)
        except AssertionError as error:
            # Its event comes later, or not at all: QEMU 7.2 has let a qemu-xhci go without.
            if "not found" in str(error):
                self._deleted.add(name)
            elif "already in the process" not in str(error):
                raise
        end = min(time.monotonic() + 5, waiting.Run.end)
        while name not in self._deleted and self._receive(end) is not None:
            pass

    def has_deleted(self, name: str) -> bool:
        return name in self._deleted

    def _receive(self, end: float) -> dict[str, Any] | None:
        """The next message; nothing when there is none before the deadline."""
        while b"\n" not in self._received:
            self._connection.settimeout(max(end - time.monotonic(), 0.001))
            try:
                chunk = self._connection.recv(65536)
            except TimeoutError:
                return None
            except OSError as error:
                raise MachineGone(f"QEMU's monitor is gone: {error}") from error
            if not chunk:
                raise MachineGone("QEMU's monitor is gone")
            self._received += chunk
        line, self._received = self._received.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        if message.get("event") == "DEVICE_DELETED":
            self._deleted.add(message["data"].get("device", ""))
        return message
