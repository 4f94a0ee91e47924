"""The tests, a file a subject. Importing this imports them all, which registers them with `suite`."""

# The order is that of the tests in a machine. What unplugs devices comes last: Debian's 6.1 may panic over the next claim
# (see ownership).
from cases import (
    blocked_unbinds, boots, claims, consumers, crashes, drivers, groups, ownership, preflight, restart, systemd,
    virtual_functions, handover, hotplug, package)

__all__ = [
    "blocked_unbinds", "boots", "claims", "consumers", "crashes", "drivers", "groups", "handover", "hotplug", "ownership",
    "package", "preflight", "restart", "systemd", "virtual_functions"]
