"""The named tests, and which machines each of them is run in."""

import dataclasses
from collections.abc import Callable, Mapping

from kernels import Kernel
from machine import Machine
from place import Place

# Topology -> IOMMUs.
Places = Mapping[str, tuple[str, ...]]


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
    userspace: str

    def belongs_to(self, place: Place, is_full: bool) -> bool:
        if self.interface not in (None, place.kernel.interface) or self.userspace != place.userspace:
            return False
        return self.always_runs_at(place) or is_full and place.iommu in self.full.get(place.topology, ())

    def always_runs_at(self, place: Place) -> bool:
        return place.iommu in self.places.get(place.topology, ())


TESTS: list[Test] = []


def test(
    places: Places, full: Places | None = None, interface: str | None = None, userspace: str = "busybox"
) -> Callable[[Callable[[Machine], None]], Callable[[Machine], None]]:
    """Makes a function a test; its name, with spaces, is the test's."""

    def register(body: Callable[[Machine], None]) -> Callable[[Machine], None]:
        TESTS.append(Test(body.__name__.replace("_", " "), body, places, full or {}, interface, userspace))
        return body

    return register


@dataclasses.dataclass(frozen=True)
class Boot:
    """One machine to boot, and the tests to run in it, one after the other."""

    place: Place
    tests: tuple[Test, ...]
    # With VM_FULL=1, where tests repeat more often what may go wrong once in a while: but not in every further place,
    # which would take a day.
    is_full: bool

    def repeats(self, test: Test) -> bool:
        return self.is_full and test.always_runs_at(self.place)


def plan(kernel: Kernel, is_full: bool, repeats: bool, only: str) -> list[Boot]:
    """The boots of a kernel, in the order in which the tests name their places; none without a test. `only` is a part of
    a test's name, or of its place, as a report gives them."""
    places = [Place(kernel, topology, iommu, test.userspace) for test in TESTS for where in (test.places, test.full)
              for topology, iommus in where.items() for iommu in iommus]
    boots = []
    for place in dict.fromkeys(places):
        tests = tuple(
            test for test in TESTS if only in f"{test.name} [{place}]" and test.belongs_to(place, is_full))
        if tests:
            boots.append(Boot(place, tests, is_full and repeats))
    return boots
