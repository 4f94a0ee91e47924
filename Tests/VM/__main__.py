"""Runs the shipped daemon on real kernels in emulated machines: `make test-vm`.

Boots one machine for each kernel, topology and IOMMU that a test names, and runs in it, one after the other, all tests
that name it. A machine in which a test failed is booted anew for the next one. Nothing needs KVM; root is needed once, to
make the disk of the guests that run systemd (see disk.py).

To add a test, write a function into a file of `cases` (a new file is named in cases/__init__.py):

    @test({"rich": ("intel", "amd")}, {"small": ("intel",)})      # always; and with VM_FULL=1 also
    def a_claimed_group_is_on_vfio_pci(vm: Machine) -> None:
        ...

    @test({"small": ("intel",)}, userspace="systemd")             # in a whole Debian 12, with dpkg, apt, udev, systemctl
    @test({"small": ("intel",)}, userspace="trixie")              # and in a Debian 13, whose systemd is a newer one
    def systemd_starts_the_daemon(vm: Machine) -> None:
        ...

`vm.guest` runs commands in the guest (`check`, `run`; what may block is `start`ed), `vm.daemon` is the daemon (`call`
is vfiogroupctl; `process.kill`, `start`), `vm.sysfs` is what the kernel says without it, `vm.qemu` plugs and unplugs.
A wait is `until(condition, "what for")` or `until_equal`, never a sleep. `interface="iommufd"` is for tests of
/dev/iommu; a second `@test` with `{}` for always leaves the other kernel to VM_FULL=1, since CI has half an hour. Further
programs for the guest are added in initramfs.py, its modules in kernels.py, a topology in topologies.py. A test leaves
the machine as it found it.

Under systemd, `vm.daemon` is the service that `make install` installs, enabled (`property("MainPID")` is what systemctl
says of it), and `vm.reboot()` boots from the same disk again. The packages of the disk are named in disk.py, the files
that every boot puts on it lie in `root`, and the units that are masked stand in initramfs.py.
"""

import argparse
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from typing import TextIO

import cache
import cases  # noqa: F401 (registers the tests)
import debian
import disk
import initramfs
import kernels
import suite
import waiting
from machine import Machine
from place import Place
from qemu import MachineGone
from report import Report


class Images:
    """What the machines of a kernel are booted with, made when the first of them needs it."""

    def __init__(
        self, kernel: kernels.Kernel, programs: pathlib.Path, package: pathlib.Path, folder: pathlib.Path
    ) -> None:
        self._kernel = kernel
        self._programs = programs
        self._package = package
        self._folder = folder

    def of(self, place: Place) -> tuple[pathlib.Path, pathlib.Path | None]:
        """The initramfs, which all userspaces on disks share, and the disk where there is one."""
        made = self._folder / ("disk.cpio" if place.has_systemd else "guest.cpio")
        if not made.exists():
            made.write_bytes(initramfs.build(self._kernel, self._programs, self._package, place.has_systemd))
        return made, disk.image(place.userspace) if place.has_systemd else None


def run_boot(boot: suite.Boot, images: Images, folder: pathlib.Path, report: Report) -> None:
    """Boots a machine and runs its tests; boots it again after each that failed, for those that are left."""
    place = str(boot.place)
    left = list(boot.tests)
    attempt = 0
    while left and not waiting.Run.is_over():
        attempt += 1
        started = time.monotonic()
        logs = folder / f"{place.replace(' ', '-')}-{attempt}"
        try:
            first, root = images.of(boot.place)
            machine = Machine(boot.place, first, root, logs)
        except (MachineGone, debian.Unreachable) as gone:
            reason = f"the machine did not come up: {gone}"
            for test in left:
                report.fails(place, test.name, reason)
                reason = "the machine did not come up, as above"
            return
        with machine:
            print(f"{place}: Linux {machine.guest.release} is up after {time.monotonic() - started:.1f} s", flush=True)
            passed = True
            while left and passed:
                machine.repeats = boot.repeats(left[0])
                passed = run_test(left.pop(0), machine, place, report)
    for test in left:
        report.fails(place, test.name, "not run: the time of the whole run was over")


def run_test(test: suite.Test, machine: Machine, place: str, report: Report) -> bool:
    """Runs one test; whether it passed."""
    started = time.monotonic()
    try:
        test.body(machine)
    except Exception as error:
        # The line of the test itself, not that of the wait that it called.
        where = [frame for frame in traceback.extract_tb(error.__traceback__) if "/cases/" in frame.filename][-1]
        said = str(error) or where.line
        reason = f"{type(error).__name__} at {pathlib.Path(where.filename).name}:{where.lineno}: {said}"
        if isinstance(error, MachineGone):
            # In the one line that a summary shows: a fault of the emulator's is none of the daemon's.
            reason += f" ({machine.qemu.ending() or 'QEMU runs'})"
        report.fails(place, test.name, f"{reason}\n{machine.last_words()}")
        return False
    report.passes(test.name, time.monotonic() - started)
    return True


def run_kernel(
    kernel: kernels.Kernel, options: argparse.Namespace, folder: pathlib.Path, report: Report, repeats: bool = True
) -> None:
    """All boots of a kernel."""
    boots = suite.plan(kernel, options.full, repeats, options.only)
    if not kernel.has_virtio_iommu:
        left_out = sum(len(boot.tests) for boot in boots if boot.place.iommu == "virtio")
        boots = [boot for boot in boots if boot.place.iommu != "virtio"]
        if left_out:
            print(f"VM virtio-iommu: SKIPPED {left_out} tests on {kernel.name} (the kernel of Debian's package has "
                  "no virtio-iommu driver)")
    with tempfile.TemporaryDirectory(prefix="vfiogroupd-vm-") as scratch:
        images = Images(kernel, options.programs, options.package, pathlib.Path(scratch))
        for boot in boots:
            run_boot(boot, images, folder, report)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 Tests/VM", description="Tests of the daemon on real kernels.")
    parser.add_argument("--programs", type=pathlib.Path, required=True, help="the folder of the release binaries")
    parser.add_argument("--package", type=pathlib.Path, required=True, help="the Debian package of them")
    parser.add_argument("--kernel", default="", help="a kernel with iommufd and all drivers built in (VM_KERNEL)")
    parser.add_argument("--full", action="store_true", help="all places, and Debian's backported kernel (VM_FULL=1)")
    parser.add_argument("--only", default="", help="only tests with this in their name [place]")
    parser.add_argument("--budget", type=float, default=7200, help="end within so many seconds, whatever hangs")
    parser.add_argument("--half", choices=HALVES, help="one half of the tests alone; what came of them goes to --result")
    parser.add_argument("--result", type=pathlib.Path)
    options = parser.parse_args()
    options.only = options.only.replace("_", " ")
    waiting.Run.starts(options.budget)
    # What ends a run that takes too long must not leave its emulated machines behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.half:
        report, folder = Report(), cache.folder_of_run()
        HALVES[options.half](options, folder, report)
        report.save(options.result)
        if report.failures:
            print(f"The consoles lie in {folder}")
        return 0
    with tempfile.TemporaryDirectory(prefix="vfiogroupd-vm-") as scratch:
        return run_halves(pathlib.Path(scratch)).close()


def run_halves(folder: pathlib.Path) -> Report:
    """Both halves beside each other: a machine has one processor. The second is printed when the first has ended."""
    halves: list[tuple[str, subprocess.Popen[bytes], TextIO | None]] = []
    try:
        for half in HALVES:
            log = open(folder / f"{half}.log", "w+") if halves else None
            words = [sys.executable, "-B", *sys.argv, "--half", half, "--result", str(folder / half)]
            halves.append((half, subprocess.Popen(words, stdout=log), log))
        report = Report()
        for half, process, output in halves:
            process.wait()
            if output:
                output.seek(0)
                print(output.read(), end="", flush=True)
            report.add(Report.saved(folder / half, half))
        return report
    finally:
        for _, process, _ in halves:
            process.terminate()
            process.wait()


def run_legacy(options: argparse.Namespace, folder: pathlib.Path, report: Report) -> None:
    """Debian's kernels, which have no iommufd."""
    try:
        run_kernel(kernels.stock(), options, folder, report)
    except debian.Unreachable as error:
        report.fails("legacy", "all tests on Debian's kernel", f"it cannot be had: {error}")
    if options.full:
        try:
            run_kernel(kernels.stock("bookworm-backports"), options, folder, report, repeats=False)
        except debian.Unreachable as error:
            print(f"VM backports: SKIPPED (Debian's backported kernel cannot be had: {error})")
    else:
        print("VM backports: SKIPPED (Debian's backported kernel is run with VM_FULL=1)")


def run_iommufd(options: argparse.Namespace, folder: pathlib.Path, report: Report) -> None:
    """The kernel with iommufd that is there."""
    if kernel := kernels.with_iommufd(options.kernel):
        run_kernel(kernel, options, folder, report)
    else:
        print("VM iommufd: SKIPPED (no VM_KERNEL)")


HALVES = {"legacy": run_legacy, "iommufd": run_iommufd}

sys.exit(main())
