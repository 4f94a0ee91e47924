"""What passed and what failed: printed as it happens, and summed up at the end, also over the processes of a run."""

from __future__ import annotations

import json
import pathlib


class Report:
    """The outcome of tests so far."""

    def __init__(self) -> None:
        self.passed = 0
        self.failures: list[str] = []

    def passes(self, name: str, seconds: float) -> None:
        self.passed += 1
        print(f"  ✔ {name} ({seconds:.1f} s)", flush=True)

    def fails(self, place: str, name: str, reason: str) -> None:
        # The end of a log is what is read first, and all that is kept of a long one.
        self.failures.append(f"{name} [{place}]: {reason.splitlines()[0]}")
        print(f"  ✘ {name}\n" + "\n".join(f"      {line}" for line in reason.splitlines()), flush=True)

    def add(self, other: Report) -> None:
        self.passed += other.passed
        self.failures += other.failures

    def save(self, path: pathlib.Path) -> None:
        path.write_text(json.dumps([self.passed, self.failures]))

    @classmethod
    def saved(cls, path: pathlib.Path, name: str) -> Report:
        """What another process has saved; one that has not has failed."""
        report = cls()
        try:
            report.passed, report.failures = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            report.failures = [f"the half {name} ended without a result: {error}"]
        return report

    def close(self) -> int:
        for failure in self.failures:
            print(f"✘ {failure}")
        print(f"VM: {self.passed} passed, {len(self.failures)} failed")
        return 1 if self.failures or not self.passed else 0
