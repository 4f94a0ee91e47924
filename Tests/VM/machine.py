"""A booted machine as a test gets it: the guest, its kernel's sysfs, the daemon in it, and the hands on its slots."""

import dataclasses
import pathlib
import subprocess
import tempfile
from types import TracebackType

from daemon import Daemon, Service
from guest import Guest
from place import Place
from qemu import QEMU, MachineGone
from sysfs import Sysfs


class Machine:
    """An emulated machine with the daemon running in it."""

    def __init__(
        self, place: Place, initramfs: pathlib.Path, disk: pathlib.Path | None, folder: pathlib.Path
    ) -> None:
        self.kernel = place.kernel
        # Whether what may go wrong once in a while is done often.
        self.repeats = False
        self._boot = (place, initramfs, disk)
        self._scratch = tempfile.TemporaryDirectory(prefix="vfiogroupd-vm-")
        self._come_up(folder)

    def _come_up(self, folder: pathlib.Path) -> None:
        self.qemu = QEMU(*self._boot, folder)
        try:
            place = self._boot[0]
            self.guest = Guest(self.qemu.agent)
            self.sysfs = Sysfs(self.guest)
            self.daemon = Service(self.guest) if place.has_systemd else Daemon(self.guest)
        except Exception as error:
            self.qemu.close()
            raise MachineGone(f"{error}\n{self._traces()}") from error
        except BaseException:
            self.qemu.close()
            raise

    def booted_as(self, topology: str) -> "Machine":
        """Another machine of the same kernel: this one after somebody changed its hardware and switched it on again."""
        place, initramfs, disk = self._boot
        return Machine(
            dataclasses.replace(place, topology=topology), initramfs, disk, self.qemu.folder / f"as-{topology}")

    def booted_from(self, disk: pathlib.Path, initramfs: pathlib.Path) -> "Machine":
        """Another machine of the same hardware with another disk, booted by another initramfs than the tests' own."""
        place = self._boot[0]
        return Machine(place, initramfs, disk, self.qemu.folder / "from-disk")

    def __enter__(self) -> "Machine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.qemu.close()
        self._scratch.cleanup()

    def reboot(self) -> None:
        """Boots again from the same disk, whose writes until now are there."""
        # Not by a reset: Debian's 6.1 with Debian 13 was after one so slow in QEMU 7.2 that it did not come up.
        copy = self.copy_of_disk()
        self.qemu.close()
        self._boot = (*self._boot[:2], copy)
        self._come_up(self.qemu.folder / "again")

    def copy_of_disk(self) -> pathlib.Path:
        """A copy of the disk as it is now, in order as after a shutdown; it goes with this machine."""
        self.guest.check("sync")
        copy = pathlib.Path(tempfile.mkdtemp(dir=self._scratch.name)) / "disk"
        self.qemu.copy_root(copy)
        # discard: what is empty takes no place. 1: there was something to be put in order, since the disk is in use and has
        # no journal.
        checked = subprocess.run(["e2fsck", "-f", "-y", "-E", "discard", str(copy)], capture_output=True, text=True)
        assert checked.returncode in (0, 1), f"e2fsck: {checked.returncode}: {checked.stdout}{checked.stderr}"
        return copy

    def times(self, few: int, many: int) -> int:
        """How often a test is to do something: many times only where it is run with VM_FULL=1 and always."""
        return many if self.repeats else few

    def _traces(self) -> str:
        return f"last lines of the console:\n{self.qemu.last_console_lines()}"

    def last_words(self) -> str:
        """What a failure shows: the end of the kernel's log, of the daemon's, and of the console."""
        words = []
        try:
            words.append("last lines of the daemon's log:\n" + "\n".join(self.daemon.log().splitlines()[-15:]))
            words.append("last lines of the kernel's log:\n" + self.guest.check("dmesg | tail -n 10").rstrip())
        except (MachineGone, AssertionError) as error:
            words.append(f"the guest cannot be asked any more: {error}; {self.qemu.ending() or 'QEMU runs'}")
        return "\n".join([*words, self._traces()])
