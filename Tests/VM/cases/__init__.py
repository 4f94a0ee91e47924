"""The tests, a file a subject. Importing this imports them all, which registers them with `suite`."""

from cases import drivers, groups, hotplug, restart, virtual_functions

__all__ = ["drivers", "groups", "hotplug", "restart", "virtual_functions"]
