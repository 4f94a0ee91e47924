"""The named tests, and which machines each of them is run in."""

import dataclasses
from collections.abc import Callable

from kernels import Kernel
from machine import Machine

# Topology -> IOMMUs.
Places = dict[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Test:
    """A test: a sentence that its function proves, and the machines to prove it in."""

    name: str
    body: Callable[[Machine], None]
    # Where it always runs, and where it also runs with VM_FULL=1.
    places: Places
    full: Places
    # `legacy` or `iommufd` where it is for one half of the tests only.
    interface: str | None

    def belongs_to(self, kernel: Kernel, topology: str, iommu: str, is_full: bool) -> bool:
        if self.interface not in (None, kernel.interface):
            return False
        return iommu in self.places.get(topology, ()) or is_full and iommu in self.full.get(topology, ())


TESTS: list[Test] = []


def test(
    places: Places, full: Places | None = None, interface: str | None = None
) -> Callable[[Callable[[Machine], None]], Callable[[Machine], None]]:
    """Makes a function a test; its name, with spaces, is the test's."""

    def register(body: Callable[[Machine], None]) -> Callable[[Machine], None]:
        TESTS.append(Test(body.__name__.replace("_", " "), body, places, full or {}, interface))
        return body

    return register


@dataclasses.dataclass(frozen=True)
class Boot:
    """One machine to boot, and the tests to run in it, one after the other."""

    kernel: Kernel
    topology: str
    iommu: str
    tests: tuple[Test, ...]
    # With VM_FULL=1, where tests repeat more often what may go wrong once in a while.
    is_full: bool


def plan(kernel: Kernel, is_full: bool, only: str) -> list[Boot]:
    """The boots of a kernel, in the order in which the tests name their places; none without a test."""
    places = [(topology, iommu) for test in TESTS for where in (test.places, test.full)
              for topology, iommus in where.items() for iommu in iommus]
    boots = []
    for topology, iommu in dict.fromkeys(places):
        tests = tuple(test for test in TESTS
                      if only in test.name and test.belongs_to(kernel, topology, iommu, is_full))
        if tests:
            boots.append(Boot(kernel, topology, iommu, tests, is_full))
    return boots
