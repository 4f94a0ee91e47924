"""Packages of Debian that are looked into and not installed: apt downloads them into the cache, with lists of its own,
so that this needs no root and changes nothing of the system."""

import fcntl
import pathlib
import re
import subprocess

import cache

BACKPORTS = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian {} main\n"


class Unreachable(Exception):
    """The package cannot be had."""


def keyring(folder: pathlib.Path) -> pathlib.Path:
    """The keys of Debian's newest package of them, unpacked below a folder: those of this system, of an older release, may
    lack those of a newer one."""
    subprocess.run(["dpkg-deb", "-x", str(Archive().download("debian-archive-keyring")), str(folder / "keys")], check=True)
    return folder / "keys/usr/share/keyrings/debian-archive-keyring.gpg"


class Archive:
    """The system's own sources, or those of one suite of Debian."""

    def __init__(self, suite: str | None = None):
        self._folder = cache.folder(f"apt/{suite or 'system'}")
        for name in ["lists/partial", "archives/partial"]:
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        self._options = [f"Dir::State::lists={self._folder / 'lists'}", f"Dir::Cache={self._folder}",
                         "APT::Sandbox::User="]
        if suite:
            sources = self._folder / "sources.list"
            sources.write_text(BACKPORTS.format(suite))
            self._options += [f"Dir::Etc::sourcelist={sources}", "Dir::Etc::sourceparts=-"]
        self._is_current = False

    def dependency(self, package: str, pattern: str) -> str:
        """The package that another depends on and whose name matches: linux-image-amd64 names the kernel proper."""
        self._update()
        found = re.search(rf"Depends: ({pattern})$", self._apt("apt-cache", "depends", package), re.MULTILINE)
        if not found:
            raise Unreachable(f"{package} depends on no {pattern}")
        return found.group(1)

    def newest(self, pattern: str) -> str:
        """Of the packages whose names match, the one with the highest version in its name."""
        self._update()
        names = self._apt("apt-cache", "search", "--names-only", f"^{pattern}$").splitlines()
        if not names:
            raise Unreachable(f"there is no package {pattern}")
        return max((line.split()[0] for line in names), key=lambda name: [int(n) for n in re.findall(r"\d+", name)])

    def download(self, package: str) -> pathlib.Path:
        """The package's file."""
        self._update()
        self._apt("apt-get", "download", "--quiet", package)
        return max(self._folder.glob(f"{package}_*.deb"), key=lambda path: path.stat().st_mtime)

    def _update(self) -> None:
        if not self._is_current:
            self._apt("apt-get", "update", "--quiet")
            self._is_current = True

    def _apt(self, program: str, *arguments: str) -> str:
        options = [word for option in self._options for word in ("-o", option)]
        try:
            # Both halves of a run may ask, and apt does not wait for its own locks.
            with open(self._folder / "lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                result = subprocess.run(
                    [program, *options, *arguments], cwd=self._folder, capture_output=True, text=True, timeout=600)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unreachable(f"{program} {' '.join(arguments)}: {error}") from error
        if result.returncode != 0:
            raise Unreachable(f"{program} {' '.join(arguments)}: {result.stderr.strip()[-300:]}")
        return result.stdout
