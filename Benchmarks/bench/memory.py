"""The daemon's memory with the synthetic machine and 64 clients."""

import time

from . import api

CLIENTS = 64


def measure(machine, table, is_smoke):
    requests = 20_000 if is_smoke else 1_000_000
    with machine.daemon_serving() as daemon:
        started, start_peak = daemon.memory("VmRSS"), daemon.memory("VmHWM")
        streaming = 0
        for method in ["ListGroups", "ListDevices"]:
            calls = machine.calls(method, api.call(method, more=True))
            streaming = max(streaming, highest_while_streaming(machine, daemon, calls))
        streamed_peak = daemon.memory("VmHWM")
        identities = [api.call("GetGroup", {"id": identity}) for identity in groups_by_stream(daemon)]
        calls = machine.calls("groups", *identities)
        # Every group once, so that what is kept of them is there.
        machine.load(daemon, calls, CLIENTS, requests=max(2 * len(identities), requests // 20))
        before = daemon.memory("VmRSS")
        machine.load(daemon, calls, CLIENTS, requests=requests)
        growth = daemon.memory("VmRSS") - before
        peak = daemon.memory("VmHWM")
        whole = len(daemon.call(api.call("ListGroups"))) + len(daemon.call(api.call("ListDevices")))
        whole_peak = daemon.memory("VmHWM")

    table.title(f"Resident memory with {len(identities):,} groups and {CLIENTS} clients, in MB")
    table.note("after the start", f"{started:.2f}")
    table.note("at most during the start", f"{start_peak:.2f}")
    table.size("while lists are streamed to all clients", streaming, ("<=", 16))
    table.size("ever, till then", streamed_peak, ("<=", 24))
    table.size(f"growth over {requests:,} requests for all groups in turn", growth, ("<=", 0.25))
    table.size("ever, till then", peak, ("<=", 24))
    table.size(f"ever, after lists of {whole / 1e6:.0f} MB in two replies", whole_peak, ("<=", 24))


def highest_while_streaming(machine, daemon, calls):
    """The highest VmRSS while every client has a list streamed."""
    process = machine.start_load(daemon, calls, CLIENTS, requests=CLIENTS)
    highest = 0
    while process.poll() is None:
        highest = max(highest, daemon.memory("VmRSS"))
        time.sleep(0.005)
    if process.returncode != 0:
        raise RuntimeError(f"load ended with {process.returncode}")
    return highest


def groups_by_stream(daemon):
    """All identities, without having the daemon write the whole list at once."""
    return [
        parameters["groups"][0]["id"]
        for parameters in map(api.parameters, daemon.stream(api.call("ListGroups", more=True)))
    ]
