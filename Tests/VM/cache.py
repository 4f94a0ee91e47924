"""Where things that take long to make, or that somebody may want to look at afterwards, are kept: outside the
repository."""

import os
import pathlib
import shutil

# So many runs' consoles and logs are kept.
KEPT_RUNS = 5


def folder(name: str) -> pathlib.Path:
    """A folder of the cache, made where it is not there yet."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    path = pathlib.Path(base) / "vfiogroupd" / "vm" / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def built_kernel() -> pathlib.Path:
    """Where `make vm-kernel` puts the kernel that it builds."""
    return folder("iommufd") / "bzImage"


def folder_of_run() -> pathlib.Path:
    """A fresh folder for what a run leaves behind; those of old runs go."""
    runs = folder("runs")
    old = sorted((path for path in runs.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in old[: max(len(old) - KEPT_RUNS + 1, 0)]:
        shutil.rmtree(path, ignore_errors=True)
    path = runs / str(os.getpid())
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path
