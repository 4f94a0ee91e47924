"""Puts faults back on purpose, and counts in how many of ten seeds the random tests of the takeover find each:

    python3 Tests/Mutations            all of them: an hour or more
    python3 Tests/Mutations --check    whether the sources still have what is to be changed: a moment
    python3 Tests/Mutations WORDS      the faults with these words in their names

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
    subprocess.run(["swift", "build", "--build-tests", "--quiet"], cwd=copy, check=True, stdout=subprocess.DEVNULL)


def fails(copy: pathlib.Path, suite: str, seed: int) -> bool:
    """Whether a suite finds something by a seed."""
    environment = os.environ | {
        "VFIOGROUPD_TEST_SEED": str(seed), "VFIOGROUPD_TEST_OPERATIONS": str(OPERATIONS),
        "SWIFT_DETERMINISTIC_HASHING": "1",
    }
    words = [PROGRAM, "--testing-library", "swift-testing", "--filter", f"TakeoverTests.{suite}"]
    try:
        return subprocess.run(
            words, cwd=copy, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=1200).returncode != 0
    except subprocess.TimeoutExpired:
        return True


def found(copy: pathlib.Path, fault: Fault) -> tuple[int, int]:
    """In how many seeds a fault is found by the matrix, and by that or the random world."""
    path = copy / fault.file
    original = path.read_text()
    path.write_text(original.replace(fault.old, fault.new))
    try:
        build(copy)
        by_matrix = [fails(copy, "MatrixTests", seed) for seed in range(SEEDS)]
        # Seeds count up by one a run of 500 operations: they are as far from each other as a whole run goes.
        by_either = [
            hit or fails(copy, "PropertyTests", seed * OPERATIONS // 500) for seed, hit in enumerate(by_matrix)]
        return sum(by_matrix), sum(by_either)
    finally:
        path.write_text(original)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 Tests/Mutations", description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--copy", type=pathlib.Path, default=ROOT / ".build" / "mutations")
    options = parser.parse_args()
    faults = [fault for fault in FAULTS if " ".join(options.words) in fault.name]
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
        by_matrix, by_either = found(options.copy, fault)
        missed += by_either < NEEDED
        print(f"{'✔' if by_either >= NEEDED else '✘'} {fault.name}: in {by_either} of {SEEDS} seeds, {by_matrix} by the "
              f"matrix ({time.monotonic() - started:.0f} s)", flush=True)
    print(f"mutations: {len(faults) - missed} found, {missed} missed")
    return 1 if missed else 0


sys.exit(main())
