"""GetGroup in a closed loop, beside a C server that sends the same bytes and reads none."""

import statistics

from . import api

CONNECTIONS = [1, 8, 64]


def measure(machine, table, is_smoke):
    rounds, seconds = (3, 0.1) if is_smoke else (25, 0.2)
    call = api.call("GetGroup", {"id": "pci0000-00_00.0_00.0_00.0_00.0"})
    calls = machine.calls("group", call)
    rates = {connections: [] for connections in CONNECTIONS}
    cpu = {connections: [] for connections in CONNECTIONS}
    cpu_beside = {connections: [] for connections in CONNECTIONS}
    with machine.daemon_serving() as daemon:
        reply = daemon.call(call)
        api.parameters(reply)
        reply_file = machine.folder / "reply"
        reply_file.write_bytes(reply)
        with machine.serving(machine.programs / "answer", "{}", reply_file, name="answer") as answer:
            for turn in range(rounds):
                for connections in CONNECTIONS:
                    # Who goes first alternates: a core that was just idle is another core.
                    order = [daemon, answer] if turn % 2 else [answer, daemon]
                    done = {server: machine.load(server, calls, connections, seconds=seconds) for server in order}
                    rates[connections].append(done[daemon].rate / done[answer].rate)
                    cpu[connections].append(done[daemon].cpu)
                    cpu_beside[connections].append(done[daemon].cpu / done[answer].cpu)

    table.title(f"GetGroup, {len(call)} bytes in, {len(reply)} out; medians of {rounds} rounds beside bare epoll in C")
    for connections in CONNECTIONS:
        table.time(f"rate at {connections} connections / C's", statistics.median(rates[connections]), (">=", 0.7))
    middle = {connections: statistics.median(cpu[connections]) for connections in CONNECTIONS}
    for connections in CONNECTIONS[1:]:
        table.time(
            f"CPU a request at {connections} connections / at 1", middle[connections] / middle[1], ("<=", 1.1))
    table.time("CPU a request at 64 connections / at 8", middle[64] / middle[8], ("<=", 1.1))
    for connections in CONNECTIONS:
        beside = statistics.median(cpu_beside[connections])
        table.note(f"CPU a request at {connections} connections / C's", f"{beside:.2f}")
