"""The tests, a file a subject. Importing this imports them all, which registers them with `suite`."""

from cases import (
    blocked_unbinds, claims, consumers, crashes, drivers, groups, hotplug, ownership, preflight, restart,
    virtual_functions)

__all__ = [
    "blocked_unbinds", "claims", "consumers", "crashes", "drivers", "groups", "hotplug", "ownership", "preflight",
    "restart", "virtual_functions"]
