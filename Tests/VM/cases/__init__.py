"""The tests, a file a subject. Importing this imports them all, which registers them with `suite`."""

# The order is that of the tests in a machine. What unplugs devices comes last: Debian's 6.1 may panic over the next claim
# (see ownership).
from cases import (  # noqa: F401
    blocked_unbinds,
    boots,
    claims,
    consumers,
    crashes,
    disks,
    drivers,
    groups,
    host_network,
    host_storage,
    launchers,
    own_socket,
    ownership,
    preflight,
    restart,
    service_store,
    systemd,
    virtual_functions,
    windows,
    handover,
    hotplug,
    slow_drivers,
    package,
    waiting_releases,
    early_boot,
    sleep,
    removal,
)
