"""Puts faults back on purpose, and counts in how many of ten seeds the random tests of the takeover find each:

    python3 Tests/Mutations            all of them: an hour or more
    python3 Tests/Mutations --check    whether the sources still have what is to be changed: a moment
    python3 Tests/Mutations WORDS      the faults with these words in their names; several are separated by commas

A fault is found by a seed when the random world with as many operations as in CI, or CI's sample of the matrix of effects
and events, fails with it. The sources are changed in a copy.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time

from faults import FAULTS, Fault

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEEDS = 10
# CI runs two times as many, from other seeds.
OPERATIONS = 50_000
NEEDED = 9
PROGRAM = ".build/debug/vfiogroupdPackageTests.xctest"


def unfit(fault: Fault, root: pathlib.Path) -> str | None:
    """Why a fault cannot be put back; None where it can."""
    path = root / fault.file
    count = path.read_text().count(fault.old) if path.exists() else 0
    return None if count == 1 else f"{fault.file} has its text {count} times"


def build(copy: pathlib.Path) -> None:
    result = subprocess.run(["swift", "build", "--build-tests"], cwd=copy, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"mutations: the copy cannot be built:\n{result.stdout[-3000:]}{result.stderr[-3000:]}")


def fails(copy: pathlib.Path, suite: str, seed: int, operations: int = OPERATIONS) -> bool:
    """Whether a suite finds something by a seed."""
    environment = os.environ | {
        "VFIOGROUPD_TEST_SEED": str(seed), "VFIOGROUPD_TEST_OPERATIONS": str(operations),
        "SWIFT_DETERMINISTIC_HASHING": "1",
    }
    words = [PROGRAM, "--testing-library", "swift-testing", "--filter", f"TakeoverTests.{suite}"]
    try:
        return subprocess.run(
            words, cwd=copy, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=1200).returncode != 0
    except subprocess.TimeoutExpired:
        return True


def finder(copy: pathlib.Path, seed: int) -> str | None:
    """What finds the fault by a seed: what takes the least time is asked first."""
    # Seeds count up by one a run of 500 operations: they are as far from each other as a whole run goes.
    first = seed * OPERATIONS // 500
    if fails(copy, "PropertyTests", first, OPERATIONS // 10):
        return "world"
    if fails(copy, "MatrixTests", seed):
        return "matrix"
    return "world" if fails(copy, "PropertyTests", first) else None


def found(copy: pathlib.Path, fault: Fault) -> list[str]:
    """What found a fault, of the seeds by which something did. With two that miss it, no more are tried."""
    path = copy / fault.file
    original = path.read_text()
    path.write_text(original.replace(fault.old, fault.new))
    try:
        build(copy)
        finders: list[str] = []
        for seed in range(SEEDS):
            if seed - len(finders) > SEEDS - NEEDED:
                break
            if by := finder(copy, seed):
                finders.append(by)
        return finders
    finally:
        path.write_text(original)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 Tests/Mutations", description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--copy", type=pathlib.Path, default=ROOT / ".build" / "mutations")
    options = parser.parse_args()
    # Several are separated by commas.
    wanted = [words.strip() for words in " ".join(options.words).split(",")]
    faults = [fault for fault in FAULTS if any(words in fault.name for words in wanted)]
    unfits = [(fault, reason) for fault in faults if (reason := unfit(fault, ROOT))]
    for fault, reason in unfits:
        print(f"✘ {fault.name}: {reason}")
    if options.check or unfits:
        print(f"mutations: {len(faults) - len(unfits)} can be put back, {len(unfits)} cannot")
        return 1 if unfits else 0
    if not options.copy.exists():
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(options.copy)], check=True)
    missed = 0
    for fault in faults:
        started = time.monotonic()
        finders = found(options.copy, fault)
        is_found = len(finders) >= NEEDED
        missed += not is_found
        print(f"{'✔' if is_found else '✘'} {fault.name}: in {len(finders)} of {SEEDS} seeds, in "
              f"{finders.count('matrix')} by the matrix alone ({time.monotonic() - started:.0f} s)", flush=True)
    print(f"mutations: {len(faults) - missed} found, {missed} missed")
    return 1 if missed else 0


sys.exit(main())
