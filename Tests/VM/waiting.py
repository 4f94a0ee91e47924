"""Deadlines. Every wait is for a condition, and generous: an emulated guest on a loaded host is ten times slower."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

# Seconds until a guest must have booted, a command in it must have answered, and a change must have been noticed.
BOOT = 300.0
ANSWER = 120.0
CHANGE = 120.0


class Run:
    """The whole run's end: no wait lasts longer, so that the closing line is printed whatever hangs."""

    end = float("inf")

    @classmethod
    def starts(cls, budget: float) -> None:
        cls.end = time.monotonic() + budget

    @classmethod
    def is_over(cls) -> bool:
        return time.monotonic() >= cls.end


def deadline(seconds: float) -> float:
    return min(time.monotonic() + seconds, Run.end)


def until(condition: Callable[[], Value], what: str, seconds: float = CHANGE) -> Value:
    """Looks again and again until the condition gives something true, and returns that."""
    end = deadline(seconds)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        # Between two looks only: nothing depends on how long it is.
        time.sleep(0.05)


def until_equal(actual: Callable[[], Value], expected: Callable[[], Value], what: str) -> Value:
    """Looks until both are equal; what differs to the end is told."""
    end = deadline(CHANGE)
    while True:
        seen, wanted = actual(), expected()
        if seen == wanted:
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"{what} differ:\n  seen     {seen}\n  expected {wanted}")
        time.sleep(0.05)
